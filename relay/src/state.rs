//! What outlives a restart: the secret, and how much was relayed this month.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret_file;

/// The state directory.
#[derive(Clone, Debug)]
pub(crate) struct State(PathBuf);

impl State {
    /// The named directory, or systemd's, or the platform's; made if it is not there.
    pub(crate) fn open(named: Option<&Path>) -> io::Result<Self> {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let systemd = from("STATE_DIRECTORY");
        let xdg = from("XDG_STATE_HOME").map(|path| path.join("p2pcall-relay"));
        let home = from("HOME").map(|home| home.join(".local/state/p2pcall-relay"));
        let windows = from("LOCALAPPDATA").map(|path| path.join("p2pcall-relay"));
        let path = named.map(Path::to_owned).or(systemd).or(xdg).or(home).or(windows);
        let path = path.unwrap_or_else(|| PathBuf::from("/var/lib/p2pcall-relay"));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.recursive(true).create(&path);
        made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    /// The secret, and whether it was made just now.
    pub(crate) fn secret(&self) -> io::Result<(String, bool)> {
        let path = self.0.join("secret");
        match std::fs::read_to_string(&path) {
            Ok(secret) if !secret.trim().is_empty() => Ok((secret.trim().to_owned(), false)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
            }
            _ => {
                let bytes: [u8; 18] =
                    crate::random_bytes().ok_or_else(|| io::Error::other("no random numbers"))?;
                let secret = URL_SAFE_NO_PAD.encode(bytes);
                secret_file::write(&path, format!("{secret}\n").as_bytes())?;
                Ok((secret, true))
            }
        }
    }

    /// Bytes relayed in this month, as saved last.
    pub(crate) fn transfer(&self, month: &str) -> u64 {
        let saved = std::fs::read_to_string(self.0.join("transfer")).unwrap_or_default();
        match saved.trim().split_once(' ') {
            Some((saved_month, bytes)) if saved_month == month => bytes.parse().unwrap_or(0),
            _ => 0,
        }
    }

    pub(crate) fn save_transfer(&self, month: &str, bytes: u64) -> io::Result<()> {
        secret_file::write(&self.0.join("transfer"), format!("{month} {bytes}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_a_months_transfer_is_not_the_next_ones() {
        let directory = std::env::temp_dir().join(format!("p2pcall-relay-state-{}", std::process::id()));
        let state = State::open(Some(&directory)).unwrap();
        let (secret, new) = state.secret().unwrap();
        assert!(new && secret.len() == 24);
        assert_eq!(state.secret().unwrap(), (secret, false));
        state.save_transfer("2026-11", 77).unwrap();
        assert_eq!((state.transfer("2026-11"), state.transfer("2026-12")), (77, 0));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
