//! The queue: what waits, and in which order it gives way.
use std::time::SystemTime;

use super::*;
use crate::trace::{Context, Kind};

fn span(number: usize) -> Span {
    let context = Context {
        trace: [1; 16],
        span: (number as u64).to_be_bytes(),
    };
    Span {
        context,
        parent: None,
        name: number.to_string(),
        kind: Kind::Server,
        began: SystemTime::UNIX_EPOCH,
        ended: SystemTime::UNIX_EPOCH,
        failure: None,
        attributes: Vec::new(),
        link: None,
    }
}

fn names(queue: &mut Queue) -> Vec<String> {
    queue.take().into_iter().map(|span| span.name).collect()
}

#[test]
fn what_nobody_took_comes_first() {
    let mut queue = Queue::default();
    queue.add([span(3)]);
    queue.put_back(vec![span(1), span(2)]);
    assert_eq!(names(&mut queue), ["1", "2", "3"]);
    assert_eq!(queue.dropped, 0);
}

#[test]
fn the_oldest_give_way_and_are_counted() {
    let mut queue = Queue::default();
    queue.add((0..QUEUE + 3).map(span));
    queue.put_back(vec![span(9999)]);
    assert_eq!(queue.dropped, 4);
    let names = names(&mut queue);
    assert_eq!((names.len(), names[0].as_str()), (QUEUE, "3"));
}
