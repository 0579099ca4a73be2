//! Files with very many statements.

use super::*;

/// Four times as much takes about four times as long, and not sixteen times.
#[tokio::test]
async fn the_time_grows_with_the_file_and_not_with_its_square() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let first = migration(1, "CREATE TABLE a (b INT, c TEXT)");
    apply(&mut worker, &first, Mode::Run).await.0.expect("applied");
    let mut took = Vec::new();
    for (version, count) in [(2, 10_000), (3, 40_000)] {
        let row = format!("INSERT INTO a VALUES (1, '{}');\n", "x".repeat(80));
        let file = migration(version, &row.repeat(count));
        let start = std::time::Instant::now();
        apply(&mut worker, &file, Mode::Run).await.0.expect("applied");
        took.push(start.elapsed());
    }
    assert!(took[1] < took[0] * 9, "{took:?}");
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 50_000);
}
