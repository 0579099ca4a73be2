//! The exit code of the container.

mod support;

use support::{Setup, fixture};

#[test]
fn the_exit_code_of_the_main_process_is_passed_on() {
    for code in 0..=255 {
        let run = Setup::new(&format!(
            "[process.app]\ncommand = {}",
            fixture(&format!("exit {code}"))
        ))
        .start();
        let exit = run.exit();
        assert_eq!(exit.code, Some(code));
        assert_eq!(exit.line()["cause"], "main_ended");
        assert_eq!(exit.line()["process_code"], code);
    }
}
