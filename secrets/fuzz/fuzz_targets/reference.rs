//! Any text is a reference, none, or an error, and what is shown of it lacks the account.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runmate_secrets::Reference;

fuzz_target!(|text: &str| {
    let Ok(Some(reference)) = Reference::parse(text) else {
        return;
    };
    let whole = reference.text();
    assert_eq!(
        Reference::parse(&whole).as_ref(),
        Ok(&Some(reference.clone())),
        "{whole}"
    );
    assert_eq!(whole.trim_end_matches(':'), text.trim_end_matches(':'));

    let fetched = reference.without_json_key();
    assert_eq!(fetched.json_key(), None);
    assert_eq!(fetched, fetched.without_json_key());

    let shown = reference.to_string();
    if reference.region().is_some() {
        let part = |text: &str| text.split(':').nth(4).map(ToOwned::to_owned);
        let account = part(&whole).expect("an ARN has an account");
        assert_eq!(part(&shown), Some(format!("****{}", &account[8..])));
    } else {
        assert_eq!(shown, whole);
    }
});
