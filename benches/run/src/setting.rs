//! What does not change from cell to cell: programs, cores, time.

use std::{collections::BTreeMap, error::Error, path::PathBuf};

use crate::{
    cell::{Cell, Identity},
    cores::{self, Cores},
    identity::Certificate,
    peer::Peer,
    workshop::Workshop,
};

/// The laboratory.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) workshop: Workshop,
    pub(crate) cores: Cores,
    certificate: Certificate,
    /// Other binaries, by the peer's name.
    given: BTreeMap<String, PathBuf>,
}

impl Setting {
    pub(crate) fn new(given: Vec<(String, PathBuf)>) -> Result<Self, Box<dyn Error>> {
        cores::raise_descriptors()?;
        let workshop = Workshop::new()?;
        Ok(Self {
            cores: Cores::choose()?,
            certificate: Certificate::in_folder(&workshop.scratch())?,
            given: given.into_iter().collect(),
            workshop,
        })
    }

    pub(crate) fn identity(&self) -> Identity<'_> {
        self.certificate.paths()
    }

    /// What to start for this peer in this cell.
    pub(crate) fn binary(&self, peer: &Peer, cell: &Cell) -> PathBuf {
        match self.given.get(&peer.name) {
            Some(path) => path.clone(),
            None => self.workshop.binary(peer.program, cell.way().flavour()),
        }
    }

    /// The same for a count of instructions.
    pub(crate) fn counted(&self, peer: &Peer) -> PathBuf {
        match self.given.get(&peer.name) {
            Some(path) => path.clone(),
            None => self.workshop.counted(peer.program),
        }
    }
}
