//! `completions` and `man`: what a shell and `man` read, made from the command line's own definition.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Problem;

/// Prints the completion script of a shell.
pub(super) fn script(mut command: Command, shell: Shell) -> Result<ExitCode, Problem> {
    let name = command.get_name().to_owned();
    // Generated in memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut script);
    if shell != Shell::Bash {
        return print(&script);
    }
    // clap_complete 4.6 sets the state `agent__debugger__subcmd__tail` and then asks for that of another program:
    // it takes the hyphen of the name for the start of a subcommand. Without this no flag of a command is completed.
    let (state, mistaken) = (name.replace('-', "__"), name.replace('-', "__subcmd__"));
    print(String::from_utf8_lossy(&script).replace(&mistaken, &state).as_bytes())
}

/// Prints the page of the program, which lists the commands.
pub(super) fn page(command: Command) -> Result<ExitCode, Problem> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    print(&page)
}

/// Writes `agent-debugger.1` and a page for each command, like `agent-debugger-run.1`, into a directory.
pub(super) fn pages(command: Command, dir: &Path) -> Result<ExitCode, Problem> {
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    written.map_err(|error| Problem::Failed(format!("--dir: cannot write to {}: {error}", dir.display())))?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &[u8]) -> Result<ExitCode, Problem> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
