//! The config file: the same names as the flags, in TOML. Its text is parsed here; where it lies is found from
//! the environment. Unknown names are refused, so that a typo does not pass for a setting.

use crate::cli::{Color, Render};
use crate::error::{Exit, Failure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What the file may say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConfigFile {
    /// As `--video`.
    pub video: Option<String>,
    /// As `--audio`.
    pub audio: Option<String>,
    /// As `--speaker`.
    pub speaker: Option<String>,
    /// As `--fps`.
    pub fps: Option<u32>,
    /// As `--size`.
    pub size: Option<String>,
    /// As `--bitrate`.
    pub bitrate: Option<u32>,
    /// As `--headphones`.
    pub headphones: Option<bool>,
    /// As `--stun`, repeated.
    pub stun: Option<Vec<String>>,
    /// Relays by name; each value is a LINK.
    pub relays: BTreeMap<String, String>,
    /// As `--no-servers`.
    pub no_servers: Option<bool>,
    /// As `--relay-only`.
    pub relay_only: Option<bool>,
    /// As `--bind`, repeated.
    pub bind: Option<Vec<IpAddr>>,
    /// As `--no-portmap`.
    pub no_portmap: Option<bool>,
    /// As `--proxy`.
    pub proxy: Option<String>,
    /// Hosts that are reached without it. Not in the file: the environment's `no_proxy`.
    #[serde(skip)]
    pub no_proxy: Option<String>,
    /// As `--name`.
    pub name: Option<String>,
    /// As `--render`.
    pub render: Option<Render>,
    /// As `--color`.
    pub color: Option<Color>,
    /// As `--no-clipboard`.
    pub no_clipboard: Option<bool>,
    /// As `--auto-accept`.
    pub auto_accept: Option<bool>,
    /// As `--timeout`, seconds.
    pub timeout: Option<f64>,
    /// As `--reconnect`, seconds.
    pub reconnect: Option<f64>,
    /// As `--save-to`.
    pub save_to: Option<PathBuf>,
}

impl ConfigFile {
    /// Parses the file's text; `path` is for the message.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let first = error.message().lines().next().unwrap_or_default().to_owned();
            let line =
                error.span().map_or(1, |span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
            Failure::usage(
                format!("The config file {}, line {line}: {first}.", path.display()),
                "Mend or remove that line. The names are those of the flags, without the dashes before them.",
            )
        })
    }

    /// Reads the file; one that is not there says nothing.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(&text(path)?, path)
    }
}

/// The file's text; of one that is not there, none.
pub fn text(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::usage(
            format!("The config file {} can't be read: {error}.", path.display()),
            "Check its permissions.",
        )),
    }
}

/// Replaces the file's text as a whole. From then on only its owner can read it: there are secrets in it.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    // A link to a file elsewhere, as people have who keep their settings in a repository, stays one.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| p2pcall_relay::secret_file::write(&target, text.as_bytes())).map_err(|error| {
        let message = format!("The config file {} can't be written: {error}.", path.display());
        Failure::new(Exit::Failure, "config_file", message, "Check the permissions of its folder.")
    })
}

/// Where the file lies: `$XDG_CONFIG_HOME/p2pcall/config.toml`, or the platform's own place.
pub fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME");
    let base = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| {
        if cfg!(target_os = "windows") {
            set("APPDATA")
        } else if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Application Support"))
        } else {
            home().map(|home| home.join(".config"))
        }
    })?;
    Some(base.join("p2pcall").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_flags() {
        let text = "name = \"Alice\"\nvideo = \"test\"\nno-servers = true\nrender = \"half\"\ncolor = \"256\"\n\
                    stun = [\"stun.example.org:3478\"]\n[relays]\nhome = \"turn:relay.example.org?secret=s\"\n";
        let file = ConfigFile::parse(text, Path::new("config.toml")).unwrap();
        assert_eq!(file.name.as_deref(), Some("Alice"));
        assert_eq!(file.color, Some(Color::Palette));
        assert_eq!(file.relays["home"], "turn:relay.example.org?secret=s");
    }

    #[test]
    fn a_typo_is_named_with_its_line() {
        let failure = ConfigFile::parse("name = \"a\"\nvidio = \"test\"\n", Path::new("c.toml")).unwrap_err();
        assert!(failure.message.contains("line 2") && failure.message.contains("vidio"), "{failure}");
        assert_eq!(failure.exit as u8, 2);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_xdg_variable_wins_over_home() {
        let env = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/x".into()),
            _ => Some("/home/a".into()),
        };
        assert_eq!(path(env), Some("/x/p2pcall/config.toml".into()));
        let home = |name: &str| (name == "HOME").then(|| "/home/a".into());
        assert_eq!(path(home), Some("/home/a/.config/p2pcall/config.toml".into()));
        assert_eq!(path(|_| None), None);
    }
}
