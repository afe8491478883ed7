//! Our own relay in a laboratory: UDP and TCP on 3478, TLS on 443.

use super::world::{SERVER, SERVER_SECOND, World};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A running p2pcall-relay.
pub(crate) struct Relay {
    child: Child,
    links: Vec<String>,
    more: Vec<String>,
    state: TempDir,
}

impl Relay {
    /// On the server of a laboratory.
    ///
    /// # Panics
    /// When it does not become ready.
    pub(crate) fn start(world: &World) -> Self {
        Self::start_with(world, &["--alternate-ip", SERVER_SECOND])
    }

    /// The same on the first of the server's addresses alone.
    pub(crate) fn with_one_address(world: &World) -> Self {
        Self::start_with(world, &[])
    }

    fn start_with(world: &World, more: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let more: Vec<String> = more.iter().copied().map(str::to_owned).collect();
        let (child, links) = Self::spawn(world, &more, state.path());
        let relay = Self { child, links, more, state };
        assert!(relay.links.len() == 2, "a relay that is ready, and its links: {:?}", relay.links);
        relay
    }

    /// Kills it, without a word to anybody.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with what it had kept on disk.
    pub(crate) fn restart(&mut self, world: &World) {
        self.kill();
        // Its links are those that it had, and not said again.
        (self.child, _) = Self::spawn(world, &self.more, self.state.path());
    }

    fn spawn(world: &World, more: &[String], state: &Path) -> (Child, Vec<String>) {
        let before = world.lab.before("server");
        let mut child = Command::new(&before[0])
            .args(&before[1..])
            .arg(binary())
            .args(["--listen", &format!("{SERVER}:3478"), "--tls", &format!("{SERVER}:443")])
            .args(["--relay-ip", SERVER, "--external-ip", SERVER])
            .args(more)
            .arg("--state-dir")
            .arg(state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the relay starts");
        let mut links = Vec::new();
        let mut ready = false;
        for line in BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok) {
            ready = line.starts_with("ready ");
            if ready {
                break;
            }
            if line.starts_with("turn") {
                links.push(line);
            }
        }
        if !ready {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the relay is not ready");
        }
        (child, links)
    }

    /// Its links as options of a call.
    pub(crate) fn options(&self) -> Vec<String> {
        self.links.iter().flat_map(|link| ["--relay".to_owned(), link.clone()]).collect()
    }

    /// Itself as a STUN server, as options of a call.
    pub(crate) fn stun() -> Vec<String> {
        vec!["--stun".to_owned(), format!("{SERVER}:3478")]
    }

    /// Both its addresses, as if they were two: then a call knows what its NAT does to ports.
    pub(crate) fn two_stun() -> Vec<String> {
        [Self::stun(), vec!["--stun".to_owned(), format!("{SERVER_SECOND}:3478")]].concat()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The relay's program, beside p2pcall's; built if it is not there, which it is after tests of the whole workspace.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let beside = Path::new(env!("CARGO_BIN_EXE_p2pcall"));
        let path = beside.with_file_name("p2pcall-relay");
        if !path.exists() {
            let release = beside.components().any(|part| part.as_os_str() == "release");
            let status = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "--package", "p2pcall-relay"])
                .args(release.then_some("--release"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .expect("cargo runs");
            assert!(status.success(), "p2pcall-relay builds");
        }
        path
    })
}
