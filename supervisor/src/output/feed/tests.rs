use std::io::{BufRead, BufReader};

use super::*;
use crate::config::LogFormat;
use crate::output::SinkOptions;
use crate::output::event::Look;

#[test]
fn who_loses_nothing_more_is_told_of_the_last_losses_too() {
    let (reader, writer) = std::io::pipe().unwrap();
    let options = SinkOptions {
        look: Look {
            format: LogFormat::Json,
            names: Arc::default(),
        },
        capacity: 1 << 20,
        blocked: Duration::from_secs(5),
    };
    let sink = Rc::new(Sink::start(writer.into(), options).unwrap());
    let mut said = BufReader::new(reader).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&said.next().unwrap().unwrap()).unwrap() };
    let source = FeedSource {
        name: "app".to_owned(),
        counts: Arc::default(),
    };
    let options = FeedOptions {
        capacity: 1 << 20,
        blocked: Duration::from_secs(5),
    };
    let feed = Feed::new("shipper".to_owned(), vec![source], options, sink, Rc::default());
    feed.count_dropped(0, 1);
    assert_eq!(next()["lines"], 1);
    feed.count_dropped(0, 2);
    // Too soon.
    feed.bring_up_to_date();
    feed.state.borrow_mut().reported = Instant::now().checked_sub(REPORT_EVERY);
    feed.bring_up_to_date();
    assert_eq!(next()["lines"], 2);
}
