//! A PulseAudio server of our own with null sinks for sound cards: no hardware, no user session, no other
//! program's sound. What `micsrc` plays, `mic` captures; what is played to `spk` can be recorded.
//!
//! The library under test finds its server by the environment, which belongs to the whole process. So a test
//! that needs devices runs [`in_own_process`], or the process under test gets [`Pulse::environment`].

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Makes the speaker; its monitor is what is heard.
const SPEAKER: &str =
    "module-null-sink sink_name=spk rate=48000 channels=2 sink_properties=device.description=Test-Speaker";
/// The null sink behind the microphone: what is played to it is spoken into it.
const MOUTH: &str = "module-null-sink sink_name=micsrc rate=48000 channels=1";
/// The microphone.
const MICROPHONE: &str = "module-remap-source source_name=mic master=micsrc.monitor source_properties=device.description=Test-Microphone";

/// A running server. Ends with this value.
pub(crate) struct Pulse {
    server: Child,
    /// Reads the speaker's monitor: without a reader the first sound comes after two seconds.
    listener: Option<Child>,
    directory: PathBuf,
}

impl Pulse {
    /// Starts a server with a speaker `spk` and a microphone `mic`. `None`, said aloud, where PulseAudio is
    /// not installed.
    pub(crate) fn start() -> Option<Self> {
        installed().then(|| Self::start_in(directory()))
    }

    fn start_in(directory: PathBuf) -> Self {
        let _leftover = std::fs::remove_dir_all(&directory);
        for part in ["pulse", "state"] {
            std::fs::create_dir_all(directory.join(part)).unwrap();
        }
        let mut pulse = Self { server: Self::server(&directory), listener: None, directory };
        pulse.await_ready();
        pulse.listen();
        pulse
    }

    fn listen(&mut self) {
        let mut listener = self.command("parec");
        listener.args(["--latency-msec=5", "-d", "spk.monitor", "--raw"]);
        self.listener = Some(listener.spawn().unwrap());
    }

    /// What a process needs in its environment to find this server and no other.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        environment(&self.directory)
    }

    /// A command that talks to this server, its output discarded.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Speaks a WAV file into the microphone, in the background.
    pub(crate) fn speak(&self, file: &Path) -> Child {
        self.command("paplay").args(["-d", "micsrc", "--latency-msec=20"]).arg(file).spawn().unwrap()
    }

    /// Writes what the speaker plays to its standard output: 48 kHz, mono, 16 bits.
    pub(crate) fn recorder(&self) -> Child {
        let mut command = self.command("parec");
        command.args(["-d", "spk.monitor", "--raw", "--latency-msec=20", "--format=s16le", "--rate=48000"]);
        command.arg("--channels=1").stdout(Stdio::piped()).spawn().unwrap()
    }

    /// What the speaker plays in so much time: 48 kHz mono.
    pub(crate) fn hear(&self, seconds: f32) -> Vec<f32> {
        self.hear_after(seconds, || ()).1
    }

    /// What the speaker plays in so much time after this is done. It is done when listening has begun, which
    /// takes up to two seconds where the null sink has rendered ahead.
    pub(crate) fn hear_after<T>(&self, seconds: f32, act: impl FnOnce() -> T) -> (T, Vec<f32>) {
        let mut child = self.recorder();
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut [0; 960]).unwrap();
        let done = act();
        let mut bytes = vec![0; (seconds * 96_000.0) as usize / 2 * 2];
        output.read_exact(&mut bytes).unwrap();
        end(&mut child);
        let sample = |b: &[u8]| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0;
        (done, bytes.chunks_exact(2).map(sample).collect())
    }

    /// What the speaker plays, the microphone hears, a little later and as loud.
    pub(crate) fn cross_feed(&self) {
        let air = ["load-module", "module-loopback", "source=spk.monitor", "sink=micsrc", "latency_msec=30"];
        assert!(self.pactl(&air));
    }

    /// A second speaker and microphone, for another end: `spk2`, and `mic2`, which captures what `mic2src` plays.
    pub(crate) fn add_second(&self) {
        for module in [SPEAKER, MOUTH, MICROPHONE] {
            let second = module.replace("spk", "spk2").replace("mic", "mic2").replace("Test-", "Second-");
            let arguments: Vec<&str> = std::iter::once("load-module").chain(second.split(' ')).collect();
            assert!(self.pactl(&arguments), "{second}");
        }
    }

    /// Pulls the microphone out.
    pub(crate) fn remove_microphone(&self) {
        assert!(self.pactl(&["unload-module", "module-remap-source"]));
    }

    /// And plugs it in again.
    pub(crate) fn add_microphone(&self) {
        let arguments: Vec<&str> = std::iter::once("load-module").chain(MICROPHONE.split(' ')).collect();
        assert!(self.pactl(&arguments));
    }

    /// Mutes or unmutes the microphone in the system.
    pub(crate) fn mute_microphone(&self, muted: bool) {
        assert!(self.pactl(&["set-source-mute", "mic", if muted { "1" } else { "0" }]));
    }

    /// Kills the server as a crash would.
    pub(crate) fn kill(&mut self) {
        end(&mut self.server);
        if let Some(mut listener) = self.listener.take() {
            end(&mut listener);
        }
    }

    /// Starts it again at the same place.
    pub(crate) fn restart(&mut self) {
        self.server = Self::server(&self.directory);
        self.await_ready();
        self.listen();
    }

    fn server(directory: &Path) -> Child {
        let socket = directory.join("pulse/native");
        let _leftover = std::fs::remove_file(&socket);
        let protocol = format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display());
        let mut command = Command::new("pulseaudio");
        command.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--log-target=stderr",
        ]);
        for module in [protocol.as_str(), SPEAKER, MOUTH, MICROPHONE] {
            command.args(["-L", module]);
        }
        command.envs(environment(directory)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn await_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.pactl(&["get-source-mute", "mic"]) {
            assert!(Instant::now() < deadline, "the PulseAudio server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.pactl(&["set-default-source", "mic"]);
        self.pactl(&["set-default-sink", "spk"]);
    }

    fn pactl(&self, arguments: &[&str]) -> bool {
        self.command("pactl").args(arguments).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if let Some(listener) = &mut self.listener {
            end(listener);
        }
        end(&mut self.server);
        let _in_use = std::fs::remove_dir_all(&self.directory);
    }
}

/// Says aloud that a test is skipped where PulseAudio is not installed.
fn installed() -> bool {
    let there = |tool: &&str| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok();
    let installed = ["pulseaudio", "pactl", "paplay", "parec"].iter().all(there);
    if !installed {
        println!("SKIPPED: pulseaudio and pulseaudio-utils are not installed");
    }
    installed
}

/// Short: the path of a socket has 108 bytes.
fn directory() -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("p2pcall-pulse-{}-{number}", std::process::id()))
}

fn environment(directory: &Path) -> Vec<(&'static str, PathBuf)> {
    let mut server = std::ffi::OsString::from("unix:");
    server.push(directory.join("pulse/native"));
    vec![
        ("XDG_RUNTIME_DIR", directory.to_owned()),
        ("PULSE_RUNTIME_PATH", directory.join("pulse")),
        ("PULSE_STATE_PATH", directory.join("state")),
        ("PULSE_SERVER", server.into()),
        ("HOME", directory.to_owned()),
    ]
}

fn end(child: &mut Child) {
    let _gone = child.kill();
    let _reaped = child.wait();
}

/// Runs `body` with a server of its own in a process of its own, whose environment names that server: this
/// test binary is run once more for the one test called `test`.
pub(crate) fn in_own_process(test: &str, body: impl FnOnce(&mut Pulse)) {
    const INSIDE: &str = "P2PCALL_TEST_PULSE";
    if let Some(directory) = std::env::var_os(INSIDE) {
        return body(&mut Pulse::start_in(directory.into()));
    }
    if !installed() {
        return;
    }
    let directory = directory();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .envs(environment(&directory))
        .env(INSIDE, &directory)
        .status()
        .unwrap();
    assert!(status.success(), "{test}, in a process of its own: {status}");
}
