//! `user = "www-data:adm"` to numbers, by reading the image's `/etc/passwd` and `/etc/group`.
//!
//! Never getpwnam: in a static binary it loads the image's own NSS libraries, which may be of
//! another C library. So accounts from LDAP and the like are not known here.

use std::fs;
use std::path::Path;

use super::User;

/// A line of `/etc/passwd`.
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// A line of `/etc/group`.
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Resolves `USER` or `USER:GROUP`, each a name or a number.
///
/// The rules are Docker's: digits are a number even if an account has that name; a number needs no
/// account; and without an account and without a group the group is 0. Supplementary groups are
/// those that list the account, and stay when a group is given: it replaces the primary one only.
pub(super) fn resolve(text: &str, root: &Path) -> Result<User, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    if user.is_empty() || group.is_some_and(|group| group.is_empty() || group.contains(':')) {
        return Err(format!(
            "{text:?} is no user; write a name, a number, USER:GROUP or UID:GID"
        ));
    }
    let passwd = Database::read(root, "etc/passwd");
    let groups = Database::read(root, "etc/group");

    let number = numeric(user)?;
    let account = passwd
        .lines()
        .filter_map(account)
        .find(|account| number.map_or(account.name == user, |uid| account.uid == uid));
    let mut resolved = match (account, number) {
        (Some(account), _) => User {
            uid: account.uid,
            gid: account.gid,
            groups: Vec::new(),
            home: Some(account.home).filter(|home| !home.is_empty()),
            name: Some(account.name),
        },
        (None, Some(uid)) => User {
            uid,
            gid: 0,
            groups: Vec::new(),
            home: None,
            name: None,
        },
        (None, None) => {
            return Err(format!(
                "there is no user {user:?} in {}; add it or write UID:GID",
                passwd.whence
            ));
        }
    };
    let group_list: Vec<Group> = groups.lines().filter_map(group_line).collect();
    if let Some(group) = group {
        resolved.gid = match numeric(group)? {
            Some(gid) => gid,
            None => group_list
                .iter()
                .find(|known| known.name == group)
                .map(|known| known.gid)
                .ok_or_else(|| {
                    format!(
                        "there is no group {group:?} in {}; add it or write a number",
                        groups.whence
                    )
                })?,
        };
    }
    if let Some(name) = &resolved.name {
        for group in &group_list {
            let new = group.gid != resolved.gid && !resolved.groups.contains(&group.gid);
            if new && group.members.contains(name) {
                resolved.groups.push(group.gid);
            }
        }
    }
    Ok(resolved)
}

/// The number that `text` is, if it is all digits. The highest value is the kernel's "no change".
fn numeric(text: &str) -> Result<Option<u32>, String> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if number != u32::MAX => Ok(Some(number)),
        _ => Err(format!(
            "the id {text} is too large; write one below {}",
            u32::MAX
        )),
    }
}

/// The text of a file that may be missing or odd: then it has no lines.
struct Database {
    text: String,
    /// For errors: the file, and why it could not be read.
    whence: String,
}

impl Database {
    fn read(root: &Path, file: &str) -> Database {
        let path = root.join(file);
        match fs::read(&path) {
            // Names beside ours may be in any encoding.
            Ok(bytes) => Database {
                text: String::from_utf8_lossy(&bytes).into_owned(),
                whence: path.display().to_string(),
            },
            Err(error) => Database {
                text: String::new(),
                whence: format!("{} (cannot read it: {error})", path.display()),
            },
        }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }
}

/// `name:password:uid:gid:comment:home:shell`; lines of another shape are skipped.
fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, ..] = fields[..] else {
        return None;
    };
    Some(Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
    })
}

/// `name:password:gid:member,member`; lines of another shape are skipped.
fn group_line(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
    let members = fields.next().unwrap_or_default();
    Some(Group {
        name: name.to_owned(),
        gid: gid.parse().ok()?,
        members: members
            .split(',')
            .map(|member| member.trim().to_owned())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        # a comment\n\
        www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n\
        broken:x:minus:1\n\
        1000:x:77:77:a name of digits:/:/bin/sh\n\
        homeless:x:78:78::\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:syslog,www-data\nwww-data:x:33:\nssl-cert:x:110:www-data\nbad\n";

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), PASSWD).unwrap();
        fs::write(root.path().join("etc/group"), GROUP).unwrap();
        root
    }

    #[test]
    fn names_and_numbers_resolve() {
        let root = root();
        for (text, uid, gid, groups, home, name) in [
            (
                "www-data",
                33,
                33,
                &[4, 110][..],
                Some("/var/www"),
                Some("www-data"),
            ),
            ("33", 33, 33, &[4, 110], Some("/var/www"), Some("www-data")),
            ("www-data:adm", 33, 4, &[110], Some("/var/www"), Some("www-data")),
            ("www-data:0", 33, 0, &[4, 110], Some("/var/www"), Some("www-data")),
            ("1000", 1000, 0, &[], None, None),
            ("1000:1000", 1000, 1000, &[], None, None),
            ("1000:adm", 1000, 4, &[], None, None),
            ("homeless", 78, 78, &[], None, Some("homeless")),
        ] {
            let user = resolve(text, root.path()).unwrap();
            let expected = User {
                uid,
                gid,
                groups: groups.to_vec(),
                home: home.map(str::to_owned),
                name: name.map(str::to_owned),
            };
            assert_eq!(user, expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let root = root();
        let etc = root.path().join("etc");
        let etc = etc.display();
        for (text, expected) in [
            (
                "nobody",
                format!("there is no user \"nobody\" in {etc}/passwd; add it or write UID:GID"),
            ),
            (
                "root:wheel",
                format!("there is no group \"wheel\" in {etc}/group; add it or write a number"),
            ),
            (
                "4294967295",
                "the id 4294967295 is too large; write one below 4294967295".to_owned(),
            ),
            (
                "",
                "\"\" is no user; write a name, a number, USER:GROUP or UID:GID".to_owned(),
            ),
            (
                "a:b:c",
                "\"a:b:c\" is no user; write a name, a number, USER:GROUP or UID:GID".to_owned(),
            ),
            (
                "root:",
                "\"root:\" is no user; write a name, a number, USER:GROUP or UID:GID".to_owned(),
            ),
        ] {
            assert_eq!(resolve(text, root.path()).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_scratch_image_needs_numbers() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(resolve("65532:65532", root.path()).unwrap().uid, 65532);
        let error = resolve("app", root.path()).unwrap_err();
        assert!(
            error.contains("etc/passwd (cannot read it: No such file"),
            "{error}"
        );
    }
}
