use super::*;
use proptest::prelude::*;

fn masks(values: &[&str]) -> Arc<Masks> {
    Arc::new(Masks::new(values.iter().map(|value| value.as_bytes())).expect("something to find"))
}

/// What comes out if the text arrives in chunks that end at these places, and every part longer than `room`
/// goes out at once.
fn masked(masks: &Arc<Masks>, text: &[u8], cuts: &[usize], room: usize) -> Vec<u8> {
    let mut masker = Masker::new(Arc::clone(masks));
    let mut carry = Vec::new();
    let mut out = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([text.len()]) {
        carry.extend_from_slice(&text[from..to]);
        let (bytes, ready) = masker.mask(&carry, false);
        let mut used = memchr::memrchr(b'\n', &bytes[..ready]).map_or(0, |newline| newline + 1);
        while ready - used > room {
            used += room;
        }
        out.extend_from_slice(&bytes[..used]);
        carry = bytes[used..].to_vec();
        masker.took(used);
        from = to;
    }
    let (bytes, ready) = masker.mask(&carry, true);
    assert_eq!(ready, bytes.len());
    out.extend_from_slice(&bytes);
    out
}

fn whole(values: &[&str], text: &str) -> String {
    String::from_utf8(masked(&masks(values), text.as_bytes(), &[], usize::MAX)).unwrap()
}

/// Every place of every string is looked at; what is covered, in runs that overlap, becomes one mask.
fn reference(needles: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut covered = 0;
    for at in 0..text.len() {
        let here = needles.iter().filter(|needle| text[at..].starts_with(needle));
        if let Some(length) = here.map(Vec::len).max() {
            if at >= covered {
                out.extend_from_slice(MASK.as_bytes());
            }
            covered = covered.max(at + length);
        }
        if at >= covered {
            out.push(text[at]);
        }
    }
    out
}

#[test]
fn a_secret_becomes_stars_wherever_it_stands() {
    assert_eq!(whole(&["hunter2hunter2"], "a hunter2hunter2 b"), "a *** b");
    assert_eq!(whole(&["hunter2hunter2"], "hunter2hunter2"), "***");
    assert_eq!(
        whole(&["12345678"], "x123456789\n12345678\n1234567"),
        "x***9\n***\n1234567"
    );
    assert!(Masks::new([b"short".as_slice()].into_iter()).is_none());
}

#[test]
fn of_secrets_that_overlap_nothing_is_left() {
    let values = ["abcdefgh", "efghijkl", "cdefghij-and-more"];
    assert_eq!(whole(&values, "xabcdefghijklx"), "x***x");
    assert_eq!(whole(&values, "abcdefghij-and-more"), "***");
    assert_eq!(whole(&values, "abcdefghefghijkl"), "******");
}

#[test]
fn a_split_hides_nothing() {
    let text = "one hunter2-hunter2-hunter2 two hunter2-hunter2-hunter2";
    let masks = masks(&["hunter2-hunter2-hunter2", "hunter2-"]);
    for cut in 0..text.len() {
        for room in [1, 7, usize::MAX] {
            let out = masked(&masks, text.as_bytes(), &[cut], room);
            assert_eq!(String::from_utf8(out).unwrap(), "one *** two ***", "{cut} {room}");
        }
    }
}

#[test]
fn a_key_is_found_line_by_line_and_its_armor_stays() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSj\n-----END PRIVATE KEY-----\n";
    let out = "-----BEGIN PRIVATE KEY-----\n***\n***\n-----END PRIVATE KEY-----\n";
    assert_eq!(whole(&[key], key), out);
    let escaped = |text: &str| serde_json::to_string(text).unwrap();
    assert_eq!(whole(&[key], &escaped(key)), escaped(out));
    // And the other way round, as some put it into a variable.
    let one_line = key.replace('\n', "\\n");
    assert_eq!(whole(&[&one_line], &one_line), "***");
}

#[test]
fn a_secret_is_found_as_json_and_urls_write_it() {
    let secret = "pä\"ss\\wo/rd<&>='!";
    let written = [
        serde_json::to_string(secret).unwrap(),
        // Python
        r#""p\u00e4\"ss\\wo/rd<&>='!""#.to_owned(),
        // PHP
        r#""p\u00e4\"ss\\wo\/rd<&>='!""#.to_owned(),
        // Go
        r#""pä\"ss\\wo/rd\u003c\u0026\u003e='!""#.to_owned(),
        // Gson
        r#""pä\"ss\\wo/rd\u003c\u0026\u003e\u003d\u0027!""#.to_owned(),
        // Jackson
        r#""p\u00E4\"ss\\wo/rd<&>='!""#.to_owned(),
        // .NET
        r#""p\u00E4\u0022ss\\wo/rd\u003C\u0026\u003E=\u0027!""#.to_owned(),
    ];
    for text in written {
        assert_eq!(whole(&[secret], &text), "\"***\"", "{text}");
    }
    for text in [
        "p%C3%A4%22ss%5Cwo%2Frd%3C%26%3E%3D%27%21",
        "p%C3%A4%22ss%5Cwo/rd%3C%26%3E%3D%27%21",
        "p%C3%A4%22ss%5Cwo%2Frd%3C%26%3E%3D'!",
    ] {
        assert_eq!(whole(&[secret], text), "***", "{text}");
    }
}

#[test]
fn the_password_of_a_url_is_a_secret_by_itself() {
    let url = "postgresql://app:hunter2%2Fhunter2@db.example.com:5432/app";
    let text = format!("{url} hunter2%2Fhunter2 hunter2/hunter2 db.example.com");
    assert_eq!(whole(&[url], &text), "*** *** *** db.example.com");
}

#[test]
fn of_a_json_document_what_it_calls_secret_is() {
    let document =
        r#"{"username":"app-user-1","password":"hunter2hunter2","in":[{"api_key":"abc123abc123"}]}"#;
    let text = "app-user-1 hunter2hunter2 abc123abc123";
    assert_eq!(whole(&[document], text), "app-user-1 *** ***");
    assert_eq!(whole(&[document], document), "***");
}

#[test]
fn blanks_alone_are_no_secret() {
    assert_eq!(
        whole(&["          ", "hunter2hunter2"], "              x"),
        "              x"
    );
}

#[test]
fn own_lines_are_masked_too() {
    let masks = masks(&["hunter2hunter2", "naïveté-naïveté"]);
    let mut text = "cannot use hunter2hunter2: naïveté-naïveté".to_owned();
    masks.text(&mut text);
    assert_eq!(text, "cannot use ***: ***");
    let mut value = serde_json::json!({"a": ["hunter2hunter2", 1], "b": "x"});
    masks.value(&mut value);
    assert_eq!(value, serde_json::json!({"a": ["***", 1], "b": "x"}));
}

#[test]
fn nothing_shows_what_is_hidden() {
    assert!(!format!("{:?}", Masker::new(masks(&["hunter2hunter2"]))).contains("hunter"));
}

/// Few letters, so that matches and overlaps are common.
fn needles() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let needle = prop_oneof![
        prop::collection::vec(b'a'..=b'c', 8..24),
        prop::collection::vec(any::<u8>().prop_filter("a line", |byte| *byte != b'\n'), 8..60),
    ];
    prop::collection::vec(needle, 1..12)
}

fn finder_of(needles: &[Vec<u8>]) -> Arc<Masks> {
    let needles = needles.iter().map(|needle| needle.clone().into()).collect();
    Arc::new(Masks(Finder::new(needles).expect("long enough")))
}

proptest! {
    #[test]
    fn any_secrets_in_any_text_in_any_chunks(
        needles in needles(),
        noise in prop::collection::vec(
            prop_oneof![prop::collection::vec(prop_oneof![b'a'..=b'c', Just(b'\n')], 0..20), prop::collection::vec(any::<u8>(), 0..80)],
            1..20,
        ),
        pick in prop::collection::vec(any::<prop::sample::Index>(), 20),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        room in 1..100usize,
    ) {
        let mut text = Vec::new();
        for (noise, pick) in noise.iter().zip(&pick) {
            text.extend_from_slice(noise);
            text.extend_from_slice(pick.get::<Vec<u8>>(&needles));
        }
        let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(text.len())).collect();
        cuts.sort_unstable();
        let out = masked(&finder_of(&needles), &text, &cuts, room);
        prop_assert_eq!(&out, &reference(&needles, &text));
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is(needles in needles(), text in prop::collection::vec(b'd'..=b'z', 0..500)) {
        let holds = |needle: &Vec<u8>| memchr::memmem::find(&text, needle).is_some();
        prop_assume!(!needles.iter().any(holds));
        let out = masked(&finder_of(&needles), &text, &[], 16);
        prop_assert_eq!(out, text);
    }
}
