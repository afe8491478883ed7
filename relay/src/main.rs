//! The `p2pcall-relay` binary.

fn main() -> std::process::ExitCode {
    p2pcall_relay::program::main()
}
