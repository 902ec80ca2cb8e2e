//! The guide for authors, followed to the letter: its manifest, its first driver, its commands, in an empty directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::stage::text;
use crate::{Result, guests, project};

/// Follows the guide in `guest-drivers/README.md`, and fails if one of its commands does. `program` is `wharf`.
///
/// Two things are as on no author's machine: the SDK comes from this checkout, and what the components of the project were
/// built from is not compiled again.
pub(crate) fn follow(program: &Path) -> Result<()> {
    let guests_directory = project().join("guest-drivers");
    let guide = read(&guests_directory.join("README.md"))?;
    let own = guide.split_once("## One's own driver").ok_or("the guide has no section \"One's own driver\"")?.1;
    let manifest = block(own, "toml")?;
    let commands = block(own, "text")?;

    let directory = crate::target().join("guide/my-driver");
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::create_dir_all(directory.join("src")).map_err(failed)?,
    }
    let sdk = format!("wharf-sdk = {{ path = {:?} }}", project().join("sdk"));
    let lines = manifest.lines().map(|line| if line.starts_with("wharf-sdk = ") { &sdk } else { line });
    let manifest: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(directory.join("Cargo.toml"), format!("{manifest}\n[workspace]\n")).map_err(failed)?;
    fs::copy(project().join("sdk/examples/whole_driver.rs"), directory.join("src/lib.rs")).map_err(failed)?;
    fs::copy(guests_directory.join("Cargo.lock"), directory.join("Cargo.lock")).map_err(failed)?;
    symlink(guests_directory.join("target"), directory.join("target")).map_err(failed)?;

    for line in commands.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = match &words[..] {
            // The toolchain is there, by this or in another way.
            ["rustup", "target", "add", guests::TARGET] => continue,
            ["cargo", "build", rest @ ..] => {
                let mut cargo = crate::cargo("build");
                // It adds the target.
                cargo.args(rest.iter().filter(|word| !["--target", guests::TARGET].contains(word)));
                guests::configure(&mut cargo)?;
                cargo
            }
            ["wharf", arguments @ ..] => {
                let mut wharf = Command::new(program);
                wharf.args(arguments);
                wharf
            }
            _ => return Err(format!("the guide has a command that this does not know: {line}")),
        };
        println!("guide: $ {line}");
        let status = command.current_dir(&directory).stdin(Stdio::null()).status();
        let status = status.map_err(|error| format!("cannot run `{}`: {error}", text(&command)))?;
        if !status.success() {
            return Err(format!("the guide's `{line}` ended with {status}"));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns the first block of code in a language.
fn block<'a>(markdown: &'a str, language: &str) -> Result<&'a str> {
    let begun = markdown.split_once(&format!("```{language}\n")).map(|(_, rest)| rest);
    begun
        .and_then(|rest| rest.split_once("\n```"))
        .map(|(block, _)| block)
        .ok_or_else(|| format!("the guide has no block of {language}"))
}
