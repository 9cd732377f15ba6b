//! What is kept outside the process: each store under the same contract, and Redis under whatever happens to it.

mod channels;
mod contract;
mod node;
mod nodes;
mod outage;
mod patience;
