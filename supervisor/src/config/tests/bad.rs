//! Bad input and the exact lines it gets.
use super::*;

#[test]
fn a_text_without_a_process_says_what_to_write() {
    assert_eq!(
        errors(&World::new(), ""),
        [
            " process: there is no process; write [process.app] with command = [\"node\", \"server.js\"], or give a COMMAND"
        ]
    );
}
