//! The programs of `docs/howto/publish-from-a-back-end.md`, run as they stand there, one language after the other.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use sockeye_checks::{Process, Server, blocks_of_page};

use crate::conversation::LIMIT;

#[test]
fn each_program_of_the_page_publishes_to_the_channel_of_the_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let configuration = folder.join("sockeye.toml");
    fs::write(&configuration, blocks_of_page(PAGE, "toml").swap_remove(0)).expect("a file");
    let arguments = ["--config", configuration.to_str().expect("a path")];
    let Some(server) = Server::start(&arguments) else {
        return;
    };
    let mut published = 0;
    for language in LANGUAGES {
        if !is_installed(language.program) {
            eprintln!("skipped: there is no {} here", language.program);
            continue;
        }
        let mut command = language.command(folder, &server);
        let ended = Process::start(language.program, &mut command, LIMIT).wait();
        published += 1;
        // The answer has the offset, which no other program can have been given.
        let answer = format!("{{\"result\":{{\"offset\":{published},\"epoch\":");
        let has_answer = ended.out().iter().any(|line| line.starts_with(&answer));
        assert!(has_answer, "{}", ended.transcript());
    }
    assert!(published >= 2, "only {published} languages were tried");
}

const PAGE: &str = "publish-from-a-back-end.md";

/// A language of the page, and how its program is run.
struct Language {
    /// The name behind the fence.
    fence: &'static str,
    /// What runs a file of it, with its arguments before the file.
    program: &'static str,
    arguments: &'static [&'static str],
    file: &'static str,
}

const LANGUAGES: [Language; 6] = [
    language("sh", "sh", &[], "publish.sh"),
    language("php", "php", &[], "publish.php"),
    language("py", "python3", &[], "publish.py"),
    language("mjs", "node", &[], "publish.mjs"),
    language("go", "go", &["run"], "publish.go"),
    language("java", "java", &[], "Publish.java"),
];

const fn language(
    fence: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    file: &'static str,
) -> Language {
    Language {
        fence,
        program,
        arguments,
        file,
    }
}

impl Language {
    /// Writes the program of the page, for this server, and returns the command that runs it.
    fn command(&self, folder: &Path, server: &Server) -> Command {
        let address = format!("127.0.0.1:{}", server.port());
        let blocks = blocks_of_page(PAGE, self.fence);
        let publishes = |block: &&String| block.contains("/api/publish");
        let program = blocks
            .iter()
            .find(publishes)
            .expect("a program of the page");
        let file = folder.join(self.file);
        fs::write(&file, program.replace("127.0.0.1:8080", &address)).expect("a file");
        let mut command = Command::new(self.program);
        command.args(self.arguments).arg(file);
        command.env("no_proxy", "*").current_dir(folder);
        command
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
