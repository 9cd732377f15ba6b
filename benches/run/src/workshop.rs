//! Where the servers are built. One that can't be is left out, with its reason.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::peer::{Peer, Program};

/// The folder that this program lies in, and everything else that was built.
#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    built: PathBuf,
}

impl Workshop {
    pub(crate) fn new() -> io::Result<Self> {
        let program = env::current_exe()?;
        let built = program
            .parent()
            .ok_or_else(|| io::Error::other("no folder"))?;
        Ok(Self {
            built: built.to_owned(),
        })
    }

    /// The load generator.
    pub(crate) fn load(&self) -> PathBuf {
        self.built.join("load")
    }

    /// A folder for what is measured.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.built.join("bench")
    }

    pub(crate) fn binary(&self, program: Program, flavour: Flavour) -> PathBuf {
        match (program, flavour) {
            (Program::Package(package), _) => self.built.join(package),
            (Program::Uwebsockets, flavour) => self.built.join(flavour.name()),
            (Program::Node, _) => source("peers/npm-ws/server.mjs"),
        }
    }

    /// The same, for valgrind.
    pub(crate) fn counted(&self, program: Program) -> PathBuf {
        self.binary(program, Flavour::Counted)
    }

    /// Builds what the peers need. Those that are absent, and why.
    pub(crate) fn build(&self, peers: &[Peer]) -> BTreeMap<String, String> {
        let mut absent = BTreeMap::new();
        let failed = self.build_packages(peers);
        for peer in peers {
            let outcome = match peer.program {
                Program::Package(package) => match failed.get(package) {
                    Some(reason) => Err(reason.clone().into()),
                    None => Ok(()),
                },
                Program::Uwebsockets => self.build_uwebsockets(),
                Program::Node => install_packages(),
            };
            if let Err(reason) = outcome {
                eprintln!("{} is absent: {reason}", peer.name);
                absent.insert(peer.name.clone(), reason.to_string());
            }
        }
        absent
    }

    /// All in one go, so that what they share is built once; one by one only to tell which one fails.
    fn build_packages(&self, peers: &[Peer]) -> BTreeMap<&'static str, String> {
        let mut packages: Vec<&str> = vec!["bench-load"];
        packages.extend(peers.iter().filter_map(|peer| match peer.program {
            Program::Package(package) => Some(package),
            _ => None,
        }));
        packages.sort_unstable();
        packages.dedup();
        let names = packages.iter().flat_map(|package| ["-p", package]);
        if shown(self.cargo_build().arg("--keep-going").args(names)).is_ok() {
            return BTreeMap::new();
        }
        let mut failed = BTreeMap::new();
        for peer in peers {
            let Program::Package(package) = peer.program else {
                continue;
            };
            let output = self.cargo_build().args(["-q", "-p", package]).output();
            match output {
                Ok(output) if output.status.success() => {}
                Ok(output) => {
                    failed.insert(package, first_error(&output.stderr));
                }
                Err(error) => {
                    failed.insert(package, error.to_string());
                }
            }
        }
        failed
    }

    fn cargo_build(&self) -> Command {
        let mut command = cargo();
        command
            .args(["build", "--manifest-path"])
            .arg(source("Cargo.toml"));
        if self.built.ends_with("release") {
            command.arg("--release");
        }
        command
    }

    /// The library's own way: everything in the header files, the highest optimisation, for this very processor.
    fn build_uwebsockets(&self) -> Result<(), Box<dyn Error>> {
        let server = source("peers/uwebsockets/server.cpp");
        let plain = self.binary(Program::Uwebsockets, Flavour::Plain);
        let written = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
        if written(&plain).is_ok_and(|built| written(&server).is_ok_and(|text| text < built)) {
            return Ok(());
        }
        let library = sources_of("libuwebsockets-sys")?.join("uWebSockets");
        self.compile(&library, &server, Flavour::Plain)?;
        // What follows is needed in some cells only. TLS is a choice made when compiling, and wants OpenSSL's headers.
        for flavour in [Flavour::Tls, Flavour::Counted] {
            if let Err(error) = self.compile(&library, &server, flavour) {
                eprintln!("{} is absent: {error}", flavour.name());
            }
        }
        Ok(())
    }

    fn compile(
        &self,
        library: &Path,
        server: &Path,
        flavour: Flavour,
    ) -> Result<(), Box<dyn Error>> {
        let sockets = library.join("uSockets/src");
        let objects = self.scratch().join(flavour.name());
        fs::create_dir_all(&objects)?;
        let choice = match flavour {
            Flavour::Tls => "-DLIBUS_USE_OPENSSL",
            Flavour::Plain | Flavour::Counted => "-DLIBUS_NO_SSL",
        };
        let processor = match flavour {
            Flavour::Counted => "-march=x86-64-v3",
            Flavour::Plain | Flavour::Tls => "-march=native",
        };
        let common = ["-w", "-O3", "-flto=auto", processor, choice, "-I"];
        let mut sources = files(&sockets, "c")?;
        sources.push(sockets.join("eventing/epoll_kqueue.c"));
        let mut more = Vec::new();
        if flavour == Flavour::Tls {
            sources.push(sockets.join("crypto/openssl.c"));
            more.push(sockets.join("crypto/sni_tree.cpp"));
        }
        shown(
            Command::new("cc")
                .current_dir(&objects)
                .args(common)
                .arg(&sockets)
                .args(["-std=gnu11", "-c"])
                .args(&sources),
        )?;
        let mut command = Command::new("c++");
        command
            .args(common)
            .arg(&sockets)
            .arg("-I")
            .arg(library.join("src"))
            .args(["-std=c++20", "-o"])
            .arg(self.binary(Program::Uwebsockets, flavour))
            .arg(server)
            .args(more)
            .args(files(&objects, "o")?)
            .arg("-lz");
        if flavour == Flavour::Tls {
            command.args(["-lssl", "-lcrypto"]);
        }
        shown(&mut command)
    }
}

/// How the server in C++ is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// For this very processor.
    Plain,
    /// The same, with TLS.
    Tls,
    /// For a processor that valgrind knows.
    Counted,
}

impl Flavour {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "peer-uwebsockets",
            Self::Tls => "peer-uwebsockets-tls",
            Self::Counted => "peer-uwebsockets-counted",
        }
    }
}

/// The packages of the server in JavaScript.
fn install_packages() -> Result<(), Box<dyn Error>> {
    let folder = source("peers/npm-ws");
    if folder.join("node_modules/ws").exists() {
        return Ok(());
    }
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    shown(Command::new("npm").current_dir(folder).args(words))
}

/// Where cargo has put the sources of a package that something here depends on.
fn sources_of(package: &str) -> Result<PathBuf, Box<dyn Error>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Found>,
    }
    #[derive(Deserialize)]
    struct Found {
        name: String,
        manifest_path: PathBuf,
    }
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(source("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(first_error(&output.stderr).into());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let found = metadata
        .packages
        .into_iter()
        .find(|found| found.name == package)
        .ok_or_else(|| format!("cargo knows no {package}"))?;
    let folder = found.manifest_path.parent().ok_or("no folder")?;
    Ok(folder.to_owned())
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A file of this workspace.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(extension)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs a command and prints it first, so that anybody can repeat it by hand.
fn shown(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let program = command.get_program().to_string_lossy();
    eprintln!("{program} {}", words.join(" "));
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !status.success() {
        return Err(format!("{} failed, {status}", command.get_program().display()).into());
    }
    Ok(())
}

/// What a compiler complained of first.
fn first_error(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().find(|line| line.starts_with("error"));
    line.or_else(|| said.lines().next())
        .unwrap_or("it said nothing")
        .to_owned()
}
