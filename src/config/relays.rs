//! PURE: relays in the config file's text: put in and taken out, with every comment and all else left as it was;
//! and the names they get. Knows neither the file nor the terminal.

use super::RelayLink;
use crate::call::channel::clean;
use crate::error::{Exit, Failure};
use std::collections::BTreeMap;
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

/// The table of the relays.
const TABLE: &str = "relays";
/// A name is at most so long.
const MAX_NAME: usize = 64;

/// The file's text with one relay more.
pub fn with(text: &str, name: &str, link: &RelayLink) -> Result<String, Failure> {
    let mut document = parse(text)?;
    let table = document.entry(TABLE).or_insert_with(|| Item::Table(Table::new()));
    relays(Some(table))?.insert(name, value(link.with_secrets()));
    Ok(document.to_string())
}

/// The file's text with one relay less.
pub fn without(text: &str, name: &str) -> Result<String, Failure> {
    let mut document = parse(text)?;
    relays(document.get_mut(TABLE))?.remove(name);
    Ok(document.to_string())
}

fn parse(text: &str) -> Result<DocumentMut, Failure> {
    text.parse().map_err(|error: toml_edit::TomlError| uneditable(error.message()))
}

fn relays(item: Option<&mut Item>) -> Result<&mut dyn TableLike, Failure> {
    item.and_then(Item::as_table_like_mut).ok_or_else(|| uneditable("`relays` is no table"))
}

fn uneditable(why: &str) -> Failure {
    let message = format!("The config file can't be changed: {}.", clean(why, 200));
    Failure::new(Exit::Failure, "config_file", message, "Mend it by hand.")
}

/// The name for a new relay: the one asked for, or the host's. The TLS link of a server that also has another
/// gets `-tls` behind it. A relay or a name that is there already is refused.
pub fn name_for(
    link: &RelayLink,
    asked: Option<&str>,
    known: &BTreeMap<String, String>,
) -> Result<String, Failure> {
    let same = |(_, text): &(&String, &String)| text.parse().as_ref() == Ok(link);
    if let Some((name, _)) = known.iter().find(same) {
        return Err(Failure::usage(format!("The relay {link} is stored already, as `{name}`."), ""));
    }
    let base = asked.unwrap_or(&link.host);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    let is_link = base.to_ascii_lowercase().starts_with("turn");
    if base.is_empty()
        || base.starts_with('-')
        || !base.chars().all(good)
        || base.len() > MAX_NAME
        || (is_link && base.contains(':'))
    {
        return Err(Failure::usage(
            format!("`{}` is no name for a relay.", clean(base, MAX_NAME)),
            "Letters, digits, dots, dashes and underscores: for example --name home",
        ));
    }
    let names = [Some(base.to_owned()), link.is_tls().then(|| format!("{base}-tls"))];
    let free = names.into_iter().flatten().find(|name| !known.contains_key(name));
    free.ok_or_else(|| {
        Failure::usage(
            format!("There is another relay `{base}` already."),
            format!("Give this one a name with --name, or forget the other: p2pcall relay remove {base}"),
        )
    })
}

/// Nothing is stored under a name.
pub fn unknown(name: &str, known: &BTreeMap<String, String>) -> Failure {
    let names: Vec<_> = known.keys().map(|name| clean(name, MAX_NAME)).collect();
    let help = match names.is_empty() {
        true => "None is stored. `p2pcall relay add LINK` stores one.".to_owned(),
        false => format!("Stored are: {}.", names.join(", ")),
    };
    Failure::usage(format!("There is no relay `{}`.", clean(name, MAX_NAME)), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\nname = \"Alice\"   # as they know me\n\n[relays]\n# in the cellar\nhome = \"turn:192.0.2.1?secret=s\"\n";

    fn link(text: &str) -> RelayLink {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_person_wrote_stays_as_it_is() {
        let office = "turn:a:b@office.example.org:3478";
        for (before, after) in [
            ("", format!("[relays]\noffice = \"{office}\"\n")),
            (FILE, format!("{FILE}office = \"{office}\"\n")),
            (
                "relays.home = \"turn:h\"\nfps = 9\n",
                format!("relays.home = \"turn:h\"\nrelays.office = \"{office}\"\nfps = 9\n"),
            ),
            ("relays = {}\n", format!("relays = {{ office = \"{office}\" }}\n")),
        ] {
            let changed = with(before, "office", &link(office)).unwrap();
            assert_eq!(changed, after);
            let again = without(&changed, "office").unwrap();
            assert!(!again.contains("office") && again.contains(before.trim_end_matches("{}\n")), "{again}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_is_quoted() {
        let text = with("", "2001:db8::1", &link("turn:[2001:db8::1]")).unwrap();
        assert_eq!(text, "[relays]\n\"2001:db8::1\" = \"turn:[2001:db8::1]:3478\"\n");
    }

    #[test]
    fn a_file_that_is_no_toml_is_left_alone() {
        assert_eq!(with("relays = 5", "a", &link("turn:h")).unwrap_err().exit, Exit::Failure);
        assert_eq!(without("[[[", "a").unwrap_err().exit, Exit::Failure);
    }

    #[test]
    fn a_relay_is_named_by_its_host_unless_asked_otherwise() {
        let known: BTreeMap<_, _> = [("h".to_owned(), "turn:h:3478?secret=s".to_owned())].into();
        for (text, asked, name) in [
            ("turn:relay.example.org", None, Some("relay.example.org")),
            ("turn:relay.example.org", Some("home"), Some("home")),
            ("turns:h?secret=s", None, Some("h-tls")),
            ("turn:h?secret=s", Some("again"), None),
            ("turn:h?secret=other", None, None),
            ("turn:x", Some("h"), None),
            ("turn:x", Some(""), None),
            ("turn:x", Some("-"), None),
            ("turn:x", Some("a b"), None),
            ("turn:x", Some("turn:x"), None),
        ] {
            let named = name_for(&link(text), asked, &known);
            assert_eq!(named.as_deref().ok(), name, "{text} {asked:?}");
            assert!(named.is_ok() || named.is_err_and(|failure| failure.exit == Exit::Usage));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_are_known() {
        let known: BTreeMap<_, _> = [("a".to_owned(), String::new()), ("b".to_owned(), String::new())].into();
        assert!(unknown("c", &known).help.contains("a, b"));
        assert!(unknown("c", &BTreeMap::new()).help.contains("relay add"));
    }
}
