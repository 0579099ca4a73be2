//! Where the configuration is: the first found of five places.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{ConfigErrors, Inputs, Source};

/// A configuration before it is parsed.
pub(super) struct Text {
    pub(super) source: Source,
    /// What errors call it.
    pub(super) name: String,
    pub(super) text: String,
}

/// Looks in the documented order; `None` if there is none at all.
pub(super) fn find(inputs: &Inputs) -> Result<Option<Text>, ConfigErrors> {
    // Set to nothing is how images clear a variable.
    let variable = |name: &str| inputs.env.get(name).filter(|value| !value.is_empty());
    if let Some(file) = inputs.file {
        return read(inputs, file, "given with -c").map(Some);
    }
    if let Some(file) = variable("RUNMATE_CONFIG") {
        return read(inputs, Path::new(file), "named by $RUNMATE_CONFIG").map(Some);
    }
    if let Some(text) = variable("RUNMATE_CONFIG_INLINE") {
        let name = "RUNMATE_CONFIG_INLINE".to_owned();
        return Ok(Some(Text {
            source: Source::Inline,
            name,
            text: text.clone(),
        }));
    }
    for file in [
        PathBuf::from("runmate.toml"),
        inputs.root.join("etc/runmate/runmate.toml"),
    ] {
        // Only what is not there at all is passed over: a file that cannot be read was meant.
        match fs::metadata(inputs.cwd.join(&file)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            _ => return read(inputs, &file, "found by its place").map(Some),
        }
    }
    Ok(None)
}

fn read(inputs: &Inputs, file: &Path, how: &str) -> Result<Text, ConfigErrors> {
    let name = file.display().to_string();
    let error = |what: String, remedy: &str| ConfigErrors::single(&name, format!("{what} ({how}); {remedy}"));
    let bytes = fs::read(inputs.cwd.join(file)).map_err(|cause| {
        error(
            format!("cannot read the config: {cause}"),
            "correct the path or make it readable",
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|cause| {
        let at = cause.utf8_error().valid_up_to();
        let line = 1 + cause.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        error(
            format!("cannot read the config: line {line} is not UTF-8"),
            "save it as UTF-8",
        )
    })?;
    Ok(Text {
        source: Source::File(file.to_owned()),
        name,
        text,
    })
}
