//! The program: hands the arguments to [`jumpvisor::cli`] and its status to the system.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(jumpvisor::cli::main())
}
