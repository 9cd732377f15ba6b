//! A program that a check runs: every wait has a limit, its output is kept, and its children end with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A running program.
///
/// All methods that wait give up when the program's time limit is over, and panic with everything that
/// the program has printed. Dropping it kills the program and all that it has started.
pub struct Process {
    /// Its name in the messages of failures.
    name: String,
    child: Child,
    lines: Receiver<Line>,
    /// Everything read so far, in order of arrival.
    log: Vec<Line>,
    /// The end of every wait.
    deadline: Instant,
    limit: Duration,
}

/// One line of output.
#[derive(Clone, Debug)]
pub struct Line {
    /// The stream to which the program wrote it.
    pub source: Source,
    /// The line without its end. What is not UTF-8 is replaced.
    pub text: String,
}

/// The two streams that a program writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a program ended, and all that it printed.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Everything it wrote, in order of arrival.
    pub log: Vec<Line>,
}

impl Process {
    /// Starts `command` in a process group of its own.
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn start(name: impl Into<String>, command: &mut Command, limit: Duration) -> Self {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start ({command:?}): {error}"));
        let (sender, lines) = channel();
        read_lines(child.stdout.take(), Source::Out, sender.clone());
        read_lines(child.stderr.take(), Source::Err, sender);
        Self {
            name,
            child,
            lines,
            log: Vec::new(),
            deadline: Instant::now() + limit,
            limit,
        }
    }

    /// Writes a line to standard input.
    #[track_caller]
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input is open");
        if let Err(error) = stdin.write_all(format!("{line}\n").as_bytes()) {
            self.fail(&format!("does not read its input: {error}"));
        }
    }

    /// Ends standard input.
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Reads lines, each one once, until `pick` answers.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(&Line) -> Option<T>) -> T {
        loop {
            match self.next_line() {
                Ok(line) => {
                    if let Some(found) = pick(&line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.fail(&format!("did not show {what} within {:?}", self.limit))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.fail(&format!("ended without showing {what}"))
                }
            }
        }
    }

    /// Waits for a line that contains `text`.
    #[track_caller]
    pub fn wait_for_text(&mut self, text: &str) -> String {
        self.wait_for(&format!("{text:?}"), |line| {
            line.text.contains(text).then(|| line.text.clone())
        })
    }

    /// Kills the program, as the kernel does when there is no memory.
    pub fn kill(&self) {
        let _ = kill_process(self.pid(), Signal::KILL);
    }

    /// Stops the program, which then exists and does nothing.
    pub fn freeze(&self) {
        let _ = kill_process(self.pid(), Signal::STOP);
    }

    /// Continues a stopped program.
    pub fn thaw(&self) {
        let _ = kill_process(self.pid(), Signal::CONT);
    }

    /// Asks the program to end, as `systemctl stop` does.
    pub fn terminate(&self) {
        let _ = kill_process(self.pid(), Signal::TERM);
    }

    /// Asks the program to end, as ctrl-C does.
    pub fn interrupt(&self) {
        let _ = kill_process(self.pid(), Signal::INT);
    }

    /// Waits until the program has ended by itself.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        loop {
            match self.next_line() {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.fail(&format!("did not end within {:?}", self.limit))
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.wait_for_status();
        Ended {
            code: status.code(),
            signal: status.signal(),
            log: std::mem::take(&mut self.log),
        }
    }

    /// Returns the most memory that it has had resident so far, in bytes, as Linux tells it.
    ///
    /// # Panics
    /// If it has ended.
    #[track_caller]
    pub fn peak_memory_bytes(&self) -> usize {
        self.memory_bytes("status", "VmHWM:")
    }

    /// Returns the memory that it shares with no other process, in bytes, as Linux tells it.
    ///
    /// # Panics
    /// If it has ended.
    #[track_caller]
    pub fn private_memory_bytes(&self) -> usize {
        self.memory_bytes("smaps_rollup", "Private_Dirty:")
    }

    #[track_caller]
    fn memory_bytes(&self, file: &str, name: &str) -> usize {
        let path = format!("/proc/{}/{file}", self.pid().as_raw_nonzero());
        let sizes = std::fs::read_to_string(path).expect("a process that runs");
        let line = sizes.lines().find_map(|line| line.strip_prefix(name));
        let kib =
            line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
        kib.expect("a size") << 10
    }

    /// Returns everything read so far, one line each, for a failure's message.
    pub fn transcript(&self) -> String {
        transcript(&self.log)
    }

    fn next_line(&mut self) -> Result<Line, RecvTimeoutError> {
        let line = self
            .lines
            .recv_timeout(self.deadline.saturating_duration_since(Instant::now()))?;
        self.log.push(line.clone());
        Ok(line)
    }

    /// Waits for the end of the process, whose output has ended. One that doesn't end soon hangs.
    #[track_caller]
    fn wait_for_status(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            if Instant::now() >= self.deadline {
                self.fail(&format!("did not end within {:?}", self.limit));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until something listens on the address, for processes that don't say when they do.
    #[track_caller]
    pub fn wait_for_port(&mut self, addr: SocketAddr) {
        while TcpStream::connect(addr).is_err() {
            if Instant::now() >= self.deadline {
                self.fail("doesn't listen");
            }
            thread::sleep(POLL);
        }
    }

    #[track_caller]
    fn fail(&mut self, what: &str) -> ! {
        while let Ok(line) = self.lines.try_recv() {
            self.log.push(line);
        }
        let log = self.transcript();
        // Drop would print it again.
        self.log.clear();
        panic!("{} {what}. It said:\n{log}", self.name);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// Lets time pass in which something must not happen, which no event tells.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group outlives its leader while it has members, so this also finds orphans.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
        if thread::panicking() {
            while let Ok(line) = self.lines.try_recv() {
                self.log.push(line);
            }
            if !self.log.is_empty() {
                eprintln!("--- {} said:\n{}", self.name, self.transcript());
            }
        }
    }
}

impl Ended {
    /// Returns everything written to standard output, line by line.
    pub fn out(&self) -> Vec<&str> {
        self.lines_of(Source::Out)
    }

    /// Returns everything written to standard error, line by line.
    pub fn err(&self) -> Vec<&str> {
        self.lines_of(Source::Err)
    }

    /// Returns all output, for a failure's message.
    pub fn transcript(&self) -> String {
        transcript(&self.log)
    }

    fn lines_of(&self, source: Source) -> Vec<&str> {
        let lines = self.log.iter().filter(|line| line.source == source);
        lines.map(|line| line.text.as_str()).collect()
    }
}

fn transcript(log: &[Line]) -> String {
    let skipped = log.len().saturating_sub(TRANSCRIPT_LINES_MAX);
    let mut text = String::new();
    if skipped > 0 {
        text.push_str(&format!("  … {skipped} lines before\n"));
    }
    for line in &log[skipped..] {
        let mark = match line.source {
            Source::Out => '|',
            Source::Err => '!',
        };
        let shown: String = line.text.chars().take(TRANSCRIPT_LINE_CHARS_MAX).collect();
        text.push_str(&format!("  {mark} {shown}\n"));
    }
    text
}

fn read_lines(pipe: Option<impl Read + Send + 'static>, source: Source, sender: Sender<Line>) {
    let mut reader = BufReader::new(pipe.expect("the pipe was asked for"));
    thread::spawn(move || {
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end_matches(['\n', '\r']).to_owned();
            if sender.send(Line { source, text }).is_err() {
                return;
            }
            bytes.clear();
        }
    });
}

/// The time between two checks of a process whose output has ended. Short, because it has nearly always ended.
const POLL: Duration = Duration::from_millis(5);

/// Lines. A failing run shows its last ones: the cause is near the end, and a terminal holds this many.
const TRANSCRIPT_LINES_MAX: usize = 200;

/// Characters. Peers may print a megabyte in one line.
const TRANSCRIPT_LINE_CHARS_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        Process::start("sh", command.args(["-c", script]), Duration::from_secs(20))
    }

    #[test]
    fn output_and_exit_code_are_kept() {
        let ended = shell("echo one; echo two >&2; exit 3").wait();
        assert_eq!(ended.code, Some(3));
        assert_eq!(ended.out(), ["one"]);
        assert_eq!(ended.err(), ["two"]);
    }

    #[test]
    fn a_dropped_program_takes_its_children_with_it() {
        let mut process = shell("sleep 1000 & echo child $!; wait");
        let child = process.wait_for_text("child ");
        let child: i32 = child["child ".len()..].parse().expect("a process id");
        drop(process);
        let child = Pid::from_raw(child).expect("a process id");
        let until = Instant::now() + Duration::from_secs(10);
        // It was killed, and has ended or is a zombie until init reaps it.
        while rustix::process::test_kill_process(child).is_ok() && !is_zombie(child) {
            assert!(Instant::now() < until, "the child is still running");
            thread::yield_now();
        }
    }

    #[test]
    #[should_panic(expected = "did not show \"never\" within 50ms")]
    fn a_wait_ends_with_the_time_limit() {
        let mut command = Command::new("sh");
        let command = command.args(["-c", "echo something; sleep 1000"]);
        Process::start("sh", command, Duration::from_millis(50)).wait_for_text("never");
    }

    #[test]
    #[should_panic(expected = "ended without showing")]
    fn a_wait_ends_with_the_program() {
        shell("echo something").wait_for_text("never");
    }

    fn is_zombie(pid: Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    }
}
