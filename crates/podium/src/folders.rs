//! Where Podium keeps its data unless told otherwise: `$PODIUM_DATA`, then the XDG data folder.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// What the environment says about folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// `$PODIUM_DATA`.
    pub(crate) podium_data: Option<OsString>,
    /// `$XDG_DATA_HOME`.
    pub(crate) xdg_data_home: Option<OsString>,
    /// `$HOME`.
    pub(crate) home: Option<OsString>,
}

impl Surroundings {
    /// Reads the environment of this process.
    pub(crate) fn of_process() -> Self {
        let read = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            podium_data: read("PODIUM_DATA"),
            xdg_data_home: read("XDG_DATA_HOME"),
            home: read("HOME"),
        }
    }

    /// The default data folder. As XDG asks, a relative `$XDG_DATA_HOME` is not looked at.
    pub(crate) fn data_folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.podium_data {
            return Ok(PathBuf::from(folder));
        }
        let xdg = self
            .xdg_data_home
            .as_ref()
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute());
        if let Some(folder) = xdg {
            return Ok(folder.join("podium"));
        }
        match &self.home {
            Some(home) => Ok(PathBuf::from(home).join(".local/share/podium")),
            None => bail!(
                "no data folder is known: neither $PODIUM_DATA nor $XDG_DATA_HOME nor $HOME is set\nset one: export PODIUM_DATA=/path/to/folder"
            ),
        }
    }
}

/// The default data folder of this process.
pub(crate) fn data_folder() -> Result<PathBuf> {
    Surroundings::of_process().data_folder()
}

#[cfg(test)]
mod tests {
    use super::Surroundings;

    fn surroundings(data: Option<&str>, xdg: Option<&str>, home: Option<&str>) -> Surroundings {
        Surroundings {
            podium_data: data.map(Into::into),
            xdg_data_home: xdg.map(Into::into),
            home: home.map(Into::into),
        }
    }

    #[test]
    fn the_nearest_word_decides() {
        let folder = |data, xdg, home| {
            surroundings(data, xdg, home)
                .data_folder()
                .ok()
                .map(|folder| folder.display().to_string())
        };
        assert_eq!(folder(Some("/d"), Some("/x"), Some("/h")).as_deref(), Some("/d"));
        assert_eq!(folder(None, Some("/x"), Some("/h")).as_deref(), Some("/x/podium"));
        assert_eq!(
            folder(None, Some("x"), Some("/h")).as_deref(),
            Some("/h/.local/share/podium")
        );
        assert_eq!(folder(None, None, None), None);
    }
}
