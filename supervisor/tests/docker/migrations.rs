//! Migrations where there is nothing but runmate.

use std::os::unix::fs::PermissionsExt;

use crate::docker::{Container, Images};
use crate::locked_down::LOCKED;

#[test]
fn of_three_locked_down_containers_from_scratch_one_migrates() {
    let dir = tempfile::tempdir().expect("a directory");
    // The volume belongs to whoever the containers run as.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("chmod");
    let migrations = dir.path().join("migrations");
    std::fs::create_dir(&migrations).expect("a directory");
    for version in 1..=3 {
        let sql = format!("CREATE TABLE t{version} (id int);");
        std::fs::write(migrations.join(format!("{version}_t.sql")), sql).expect("write");
    }
    let config = "RUNMATE_CONFIG_INLINE=[process.app]\n\
                  command = [\"/runmate\", \"probe\", \"http://127.0.0.1:9180/livez\"]\n\
                  [migrate]\ndatabase = \"sqlite:/data/app.db\"\ndir = \"/data/migrations\"\n";
    let volume = format!("{}:/data", dir.path().display());
    let options = [LOCKED, &["-e", config, "-v", &volume]].concat();
    let all: Vec<Container> = (0..3)
        .map(|_| Container::run(Images::scratch(), &options, &[]))
        .collect();
    let mut applied = Vec::new();
    for container in &all {
        assert_eq!(container.wait(), 0, "{}", container.stdout());
        let log = container.log();
        let files = log.iter().filter(|line| line["event"] == "applied");
        applied.extend(files.map(|line| (line["process"].clone(), line["file"].clone())));
        container.exit_line();
    }
    applied.sort_by_key(|(_, file)| file.to_string());
    let expected = ["1_t.sql", "2_t.sql", "3_t.sql"].map(|file| ("migrate".into(), file.into()));
    assert_eq!(applied, expected);
}
