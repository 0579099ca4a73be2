//! Secrets: those that are named, those that are found, and who gets which.
use std::time::Duration;

use super::super::secrets::shared_users;
use super::*;

const DB: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
const KEY: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/key";

const APP: &str = "[process.app]\ncommand = [\"x\"]\n";

/// The wanted secrets as `name as form from reference`.
fn wanted(plan: &Plan) -> Vec<String> {
    let wanted = plan.secrets.wanted.iter();
    wanted
        .map(|secret| {
            let reference = secret.reference.as_ref().map_or("-".to_owned(), |it| it.text());
            format!("{} as {} from {reference}", secret.name, secret.form)
        })
        .collect()
}

#[test]
fn references_in_the_environment_are_found() {
    let world = World::new()
        .env("DATABASE_URL", DB)
        .env("DEMO_KEY_ARN", KEY)
        .env("ROLE_ARN", "arn:aws:iam::123456789012:role/app")
        .env("PARTNER_ARN", KEY)
        .env("PLAIN", "text");
    let plan = world
        .read(&format!(
            "{APP}[secrets]\nexclude = [\"PARTNER_ARN\"]\ntimeout = \"5s\""
        ))
        .unwrap();
    assert_eq!(
        wanted(&plan),
        [
            format!("DATABASE_URL as text from {DB}"),
            format!("DEMO_KEY as text from {KEY}")
        ]
    );
    assert_eq!(plan.secrets.timeout, Duration::from_secs(5));
    assert_eq!(plan.warnings, [""; 0]);
    let off = format!(
        "{APP}env = {{ KEY = \"{KEY}\" }}\n[secrets]\nexclude = [\"*\"]\n[secrets.X]\nfrom = \"file:x\""
    );
    let off = world.read(&off).unwrap();
    assert_eq!(wanted(&off), [""; 0]);
    assert_eq!(
        off.warnings,
        ["secrets.X is not resolved: secrets.exclude turns resolution off."]
    );
}

#[test]
fn a_variable_that_is_there_beats_the_one_an_arn_would_add() {
    let plan = World::new()
        .env("DB", "mine")
        .env("DB_ARN", DB)
        .read(APP)
        .unwrap();
    assert_eq!(wanted(&plan), [""; 0]);
    assert_eq!(
        plan.warnings,
        ["DB_ARN is not resolved: DB, which it would set, is set already; remove one of them."]
    );
}

#[test]
fn named_secrets_beat_what_is_found() {
    let text = format!(
        "{APP}
[secrets.DB]
from = \"${{DB}}\"
as = \"json-key:password\"
[secrets.URL]
from = \"${{URL_ARN}}\"
as = \"database-url\"
default = \"none\"
[secrets.GONE]
from = \"${{GONE_ARN:-}}\"
optional = true
[secrets.FILE]
from = \"file:dev/key\"
as = \"file\""
    );
    let plan = World::new().env("DB", DB).env("URL_ARN", DB).read(&text).unwrap();
    assert_eq!(
        wanted(&plan),
        [
            format!("DB as json-key:password from {DB}"),
            format!("URL as database-url from {DB}"),
            "GONE as text from -".to_owned(),
            "FILE as file from file:dev/key".to_owned(),
        ]
    );
    let otherwise: Vec<_> = plan
        .secrets
        .wanted
        .iter()
        .map(|secret| &secret.otherwise)
        .collect();
    assert_eq!(
        otherwise,
        [
            &Otherwise::Fail,
            &Otherwise::Default("none".into()),
            &Otherwise::Absent,
            &Otherwise::Fail
        ]
    );
    assert_eq!(plan.warnings, [""; 0]);
}

#[test]
fn main_sees_all_and_the_others_what_they_name() {
    let text = "[process.app]\ncommand = [\"x\"]
[process.nginx]\ncommand = [\"x\"]
[process.worker]\ncommand = [\"x\"]\nsecrets = [\"DB\"]
[process.all]\ncommand = [\"x\"]\nsecrets = \"all\"";
    let plan = World::new().env("DB", DB).env("KEY", KEY).read(text).unwrap();
    let seen: Vec<Vec<bool>> = plan
        .processes
        .iter()
        .map(|process| {
            plan.secrets
                .wanted
                .iter()
                .map(|secret| process.sees(secret))
                .collect()
        })
        .collect();
    assert_eq!(
        seen,
        [
            vec![true, true],
            vec![false, false],
            vec![true, false],
            vec![true, true]
        ]
    );
    let shared = |plan: &Plan, own| -> Vec<String> {
        let found = shared_users(&plan.processes, &plan.secrets, own);
        found
            .into_iter()
            .map(|(key, message)| format!("{key}: {message}"))
            .collect()
    };
    let rest = "of the same user or root; give them another user";
    assert_eq!(
        shared(&plan, 1000),
        [
            format!("process.app.secrets: its secrets can be read from /proc by nginx, worker, {rest}"),
            format!("process.worker.secrets: its secrets can be read from /proc by nginx, {rest}"),
            format!("process.all.secrets: its secrets can be read from /proc by nginx, worker, {rest}"),
        ]
    );
    let apart = "[process.app]\ncommand = [\"x\"]\n[process.nginx]\ncommand = [\"x\"]\nuser = \"33\"";
    let apart = World::new().env("DB", DB).read(apart).unwrap();
    assert_eq!(shared(&apart, 1000), [""; 0]);
    let rooted = "[process.app]\ncommand = [\"x\"]\nuser = \"33\"\n[process.nginx]\ncommand = [\"x\"]";
    let rooted = World::new().env("DB", DB).read(rooted).unwrap();
    assert_eq!(shared(&rooted, 0).len(), 1);
}

#[test]
fn the_env_of_a_process_may_hold_secrets() {
    let text = format!(
        "[process.app]\ncommand = [\"x\"]
env = {{ URL = \"redis://:${{DB}}@h\", OWN = \"{KEY}\", SOME_ARN = \"{KEY}\", LEFT = \"{KEY}\" }}
[health]\ntoken = \"${{DB}}\"
[secrets]\nexclude = [\"LEFT\"]"
    );
    let plan = World::new().env("DB", DB).read(&text).unwrap();
    let env = &plan.processes[0].env;
    assert_eq!(env["URL"].fill(|_| Some("s3")).as_deref(), Ok("redis://:s3@h"));
    assert_eq!(env["OWN"].secrets().collect::<Vec<_>>(), ["process.app.env.OWN"]);
    assert_eq!(env["SOME_ARN"].literal(), Some(KEY));
    assert_eq!(env["LEFT"].literal(), Some(KEY));
    assert_eq!(
        wanted(&plan),
        [
            format!("DB as text from {DB}"),
            format!("process.app.env.OWN as text from {KEY}")
        ]
    );
    let token = plan.health.token.unwrap();
    assert_eq!(token.secrets().collect::<Vec<_>>(), ["DB"]);
}

#[test]
fn slips_are_named_and_values_never_shown() {
    let text = "[process.app]
command = [\"x\", \"--password=${DB}\"]
cwd = \"${DB}\"
secrets = [\"DBB\", \"PLAIN\"]
[process.side]
command = [\"x\"]
secrets = true
[secrets]
timeuot = \"5s\"
timeout = \"0s\"
[secrets.NOT-A-NAME]
from = \"file:x\"
[secrets.NO_FROM]
form = \"x\"
[secrets.NO_REFERENCE]
from = \"hunter2\"
[secrets.NO_FORM]
from = \"file:x\"
as = \"yaml\"
[secrets.DEFAULT]
from = \"file:x\"
default = \"${DB}\"
[secrets.UNSET]
from = \"${UNSET_ARN}\"";
    let world = World::new().env("DB", DB).env("PLAIN", "1");
    let found = errors(&world, text);
    let secret = "${DB} is a secret, and only process.NAME.env, health.token, the addresses of checks and migrate.database can hold one; a command, for example, can be read by every process: let the program read the variable DB";
    let shape = "write an ARN or file:PATH, such as \"${DATABASE_SECRET_ARN}\"";
    let form = found
        .iter()
        .position(|line| line.starts_with("19: secrets.NO_FORM.as: "))
        .unwrap();
    let mut others = found.clone();
    others.remove(form);
    assert_eq!(
        others,
        [
            format!("2: process.app.command: {secret}"),
            format!("3: process.app.cwd: {secret}"),
            "4: process.app.secrets: there is no secret DBB: neither a variable that holds a reference nor a table [secrets.DBB]; did you mean \"DB\"?".to_owned(),
            "7: process.side.secrets: cannot be true or false; write \"all\", or a list of names such as [\"DATABASE_URL\"]".to_owned(),
            "9: secrets.timeuot: unknown key; did you mean \"timeout\"?; a secret is a table [secrets.NAME]".to_owned(),
            "10: secrets.timeout: cannot be 0s; write a longer duration".to_owned(),
            "11: secrets.NOT-A-NAME: \"NOT-A-NAME\" cannot name a variable; write a name of letters, digits and '_'".to_owned(),
            format!("13: secrets.NO_FROM.from: is missing; {shape}"),
            "14: secrets.NO_FROM.form: unknown key; did you mean \"from\"?".to_owned(),
            format!("16: secrets.NO_REFERENCE.from: holds no reference to a secret; {shape}"),
            "22: secrets.DEFAULT.default: is a reference, which nobody would resolve; write the value itself".to_owned(),
            "24: secrets.UNSET.from: the variable UNSET_ARN is not set; set it or write ${UNSET_ARN:-default}".to_owned(),
        ]
    );
}

#[test]
fn what_is_meant_as_a_reference_and_is_none_is_refused() {
    let broken = format!("{DB}:password");
    let found = errors(&World::new().env("DB", &broken), APP);
    let [error] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(
        error.starts_with("DB: ") && error.ends_with("; or name it in secrets.exclude"),
        "{error}"
    );
    let text = format!("{APP}env = {{ DB = \"{broken}\" }}");
    let found = errors(&World::new(), &text);
    assert!(found[0].starts_with("3: process.app.env.DB: "), "{found:?}");
    let excluded = format!("{APP}env = {{ DB = \"{broken}\" }}\n[secrets]\nexclude = [\"DB\"]");
    assert!(World::new().env("DB", &broken).read(&excluded).is_ok());
}

#[test]
fn an_arn_variable_is_no_secret_and_either_name_excludes_it() {
    let world = World::new().env("KEY_ARN", KEY);
    let text = format!("{APP}secrets = [\"KEY_ARN\"]\n[secrets]\nexclude = [\"F*\"]");
    assert_eq!(
        errors(&world, &text),
        [
            "3: process.app.secrets: KEY_ARN holds the reference and no secret; write \"KEY\"",
            "5: secrets.exclude: \"F*\" is no pattern; write whole names, or \"*\" alone for all",
        ]
    );
    for name in ["KEY", "KEY_ARN"] {
        let text = format!("{APP}[secrets]\nexclude = [\"{name}\"]");
        assert_eq!(wanted(&world.read(&text).unwrap()), [""; 0], "{name}");
    }
}

#[test]
fn what_stands_beside_a_named_secret_is_not_required() {
    let text = format!("{APP}[secrets.URL]\nfrom = \"${{DB_ARN}}\"\nas = \"database-url\"");
    let plan = World::new()
        .env("DB_ARN", DB)
        .env("OTHER", KEY)
        .read(&text)
        .unwrap();
    let wanted = plan.secrets.wanted.iter();
    let wanted: Vec<_> = wanted
        .map(|secret| (secret.name.as_str(), secret.beside))
        .collect();
    assert_eq!(wanted, [("URL", false), ("DB", true), ("OTHER", false)]);
}
