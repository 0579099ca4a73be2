use proptest::prelude::*;

use super::*;

/// Texts that come near to references: their pieces in any order, and noise.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "arn", ":", ":", ":", "aws", "aws-cn", "secretsmanager", "ssm", "eu-west-1", "123456789012",
            "secret", "parameter", "/", "file", "#", "?", " ", ",", "*", "AWSCURRENT", "\n", "é", "\"",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn valid() -> impl Strategy<Value = String> {
    let head = ("aws(-cn|-us-gov|-iso)?", "[a-z]{2}-[a-z]{4,5}-[1-9]", "[0-9]{12}");
    let part = "[A-Za-z0-9/_+=.@!-]{0,12}";
    let secret = (head, "[A-Za-z0-9/_+=.@!-]{1,30}", "[^:\\pC]{0,9}", part, part).prop_map(
        |((partition, region, account), id, key, stage, version)| {
            format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{id}:{key}:{stage}:{version}")
        },
    );
    let parameter = (
        head,
        "[A-Za-z0-9_.-][A-Za-z0-9/_.-]{0,30}",
        "(:[A-Za-z0-9_.-]{1,9})?",
    )
        .prop_map(|((partition, region, account), name, selector)| {
            format!("arn:{partition}:ssm:{region}:{account}:parameter/{name}{selector}")
        });
    let file =
        "file:[a-z./]{0,9}[a-z](#[^\\pC]{1,9})?".prop_filter("no URL", |text| !text.starts_with("file://"));
    prop_oneof![secret, parameter, file]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_not_without_a_panic_or_the_account_in_an_error(text in nearly()) {
        match Reference::parse(&text) {
            Ok(Some(reference)) => prop_assert_eq!(Reference::parse(&reference.text()), Ok(Some(reference))),
            Ok(None) => {}
            Err(error) => prop_assert!(!error.message.contains(":123456789012:"), "{}", error),
        }
    }

    #[test]
    fn a_reference_comes_back_from_its_text(text in valid()) {
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(&reference.text().parse::<Reference>().unwrap(), &reference);
        let back = reference.text();
        prop_assert_eq!(back.trim_end_matches(':'), text.trim_end_matches(':'));
    }

    #[test]
    fn what_is_shown_lacks_the_account_and_nothing_else(text in valid()) {
        let reference: Reference = text.parse().unwrap();
        let shown = reference.to_string();
        if let Reference::File(_) = reference {
            prop_assert_eq!(shown, reference.text());
            return Ok(());
        }
        let text = reference.text();
        let (whole, shown): (Vec<_>, Vec<_>) = (text.splitn(6, ':').collect(), shown.splitn(6, ':').collect());
        prop_assert_eq!(shown[4], format!("****{}", &whole[4][8..]));
        for part in [0, 1, 2, 3, 5] {
            prop_assert_eq!(shown[part], whole[part]);
        }
    }
}
