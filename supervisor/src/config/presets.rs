//! What is known about programs by their name, so that the common ones stop well unasked.

use crate::signal::Signal;

/// How a row of the table is matched with the file name of `argv[0]`.
enum Name {
    /// Exactly this name.
    Is(&'static str),
    /// This name, perhaps with a version behind it (`php-fpm8.2`).
    Versioned(&'static str),
}

/// The presets: name in the table, name of the program, stop signal.
///
/// All three finish running requests on the signal given here and drop them on SIGTERM:
/// nginx.org "Controlling nginx", php-fpm(8) "SIGNALS", httpd "Stopping and Restarting". Not
/// apache2ctl and apachectl: they are scripts that forward no signal.
const PRESETS: &[(&str, Name, Signal)] = &[
    ("nginx", Name::Is("nginx"), Signal::QUIT),
    ("nginx", Name::Is("openresty"), Signal::QUIT),
    ("php-fpm", Name::Versioned("php-fpm"), Signal::QUIT),
    ("apache2", Name::Is("apache2"), Signal::WINCH),
    ("apache2", Name::Is("httpd"), Signal::WINCH),
];

/// The preset for a program: its name in the table and its stop signal.
pub(super) fn find(argv0: &str) -> Option<(&'static str, Signal)> {
    let file = argv0.rsplit('/').next().unwrap_or(argv0);
    let matches = |name: &Name| match name {
        Name::Is(exact) => file == *exact,
        Name::Versioned(prefix) => file.strip_prefix(prefix).is_some_and(|version| {
            version
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')
        }),
    };
    PRESETS
        .iter()
        .find(|(_, name, _)| matches(name))
        .map(|(row, _, signal)| (*row, *signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_file_name() {
        for (argv0, expected) in [
            ("nginx", Some(("nginx", Signal::QUIT))),
            ("/usr/sbin/nginx", Some(("nginx", Signal::QUIT))),
            (
                "/usr/local/openresty/bin/openresty",
                Some(("nginx", Signal::QUIT)),
            ),
            ("php-fpm", Some(("php-fpm", Signal::QUIT))),
            ("/usr/sbin/php-fpm8.2", Some(("php-fpm", Signal::QUIT))),
            ("php-fpm-exporter", None),
            ("apache2", Some(("apache2", Signal::WINCH))),
            ("/usr/local/apache2/bin/httpd", Some(("apache2", Signal::WINCH))),
            ("apache2ctl", None),
            ("apachectl", None),
            ("nginx-debug", None),
            ("node", None),
            ("", None),
            ("/usr/sbin/nginx/", None),
        ] {
            assert_eq!(find(argv0), expected, "{argv0}");
        }
    }
}
