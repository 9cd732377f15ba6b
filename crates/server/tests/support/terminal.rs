//! A program at a pseudo terminal.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use tempfile::TempDir;

use super::PATIENCE;

pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_D: &str = "\u{4}";

/// A program at a pseudo terminal, killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    /// Our end: what is typed goes in, what is shown comes out.
    ours: File,
    /// The program's end, kept open so that what it showed last can be read.
    theirs: Option<OwnedFd>,
    shown: Arc<Shown>,
    reader: Option<JoinHandle<()>>,
    _directory: TempDir,
}

/// What a finished program left.
pub(crate) struct Ended {
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) shown: String,
    pub(crate) is_raw: bool,
}

#[derive(Default)]
struct Shown {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

impl Terminal {
    /// Makes the terminal the program's controlling one, from which it gets its keys and its signals.
    pub(crate) fn start(command: Command, directory: TempDir) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs: OwnedFd = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap()
            .into();
        // Wide, so that no line is broken that a test looks for.
        let size = Winsize {
            ws_row: 50,
            ws_col: 1000,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let mut command = in_session_of_its_own(&command);
        let end = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let shown = Arc::new(Shown::default());
        let ours = File::from(ours);
        let reader = thread::spawn({
            let (mut ours, shown) = (ours.try_clone().unwrap(), Arc::clone(&shown));
            move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = ours.read(&mut buffer) {
                    shown
                        .bytes
                        .lock()
                        .unwrap()
                        .extend_from_slice(&buffer[..count]);
                    shown.more.notify_all();
                }
            }
        });
        Self {
            child,
            ours,
            theirs: Some(theirs),
            shown,
            reader: Some(reader),
            _directory: directory,
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses these keys until told to stop.
    pub(crate) fn press_again_and_again(&self, keys: &str) -> Pressing {
        let stopped = Arc::new(AtomicBool::new(false));
        let (mut ours, keys) = (self.ours.try_clone().unwrap(), keys.to_owned());
        let pressing = thread::spawn({
            let stopped = Arc::clone(&stopped);
            move || {
                while !stopped.load(Ordering::Relaxed) {
                    ours.write_all(keys.as_bytes()).unwrap();
                }
            }
        });
        Pressing { stopped, pressing }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for this text. Each wait begins where the one before began.
    pub(crate) fn wait_until_shown(&self, text: &str) {
        let bytes = self.shown.bytes.lock().unwrap();
        let found = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let (bytes, waited) = self
            .shown
            .more
            .wait_timeout_while(bytes, PATIENCE, |bytes| !found(bytes))
            .unwrap();
        assert!(
            !waited.timed_out(),
            "{text:?} in {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }

    /// Waits until the program has the terminal in raw mode.
    pub(crate) fn wait_until_raw(&self) {
        let begun = std::time::Instant::now();
        while !self.is_raw() {
            assert!(begun.elapsed() < PATIENCE, "it is still in cooked mode");
            thread::yield_now();
        }
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(self.theirs.as_ref().unwrap())
            .unwrap()
            .local_modes;
        !modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Waits for the program's end.
    pub(crate) fn wait(mut self) -> Ended {
        let begun = std::time::Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let shown = || String::from_utf8_lossy(&self.shown.bytes.lock().unwrap()).into_owned();
            assert!(
                begun.elapsed() < PATIENCE,
                "it is still running: {}",
                shown()
            );
            thread::yield_now();
        };
        let is_raw = self.is_raw();
        // The last one that has it open: then our end ends, too.
        drop(self.theirs.take());
        self.reader.take().unwrap().join().unwrap();
        let bytes = std::mem::take(&mut *self.shown.bytes.lock().unwrap());
        Ended {
            code: status.code(),
            shown: String::from_utf8_lossy(&bytes).into_owned(),
            is_raw,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who doesn't stop typing.
pub(crate) struct Pressing {
    stopped: Arc<AtomicBool>,
    pressing: JoinHandle<()>,
}

impl Pressing {
    pub(crate) fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.pressing.join().unwrap();
    }
}

/// Returns the command, by way of `setsid --ctty`, which makes its stdin the controlling terminal, and with
/// the signals that a terminal sends as they are by default: a job in the background of a shell ignores them.
fn in_session_of_its_own(command: &Command) -> Command {
    let mut wrapped = Command::new("env");
    wrapped
        .args(["--default-signal=INT,QUIT,HUP", "setsid", "--ctty"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    wrapped
}
