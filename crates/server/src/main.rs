//! The `sockeye` binary.
fn main() {
    sockeye_server::run()
}
