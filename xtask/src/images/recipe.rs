//! What goes into each image.

/// The Debian release that the images are made of, whatever the host runs.
pub(crate) const SUITE: &str = "bookworm";

/// One image: its packages, names and settings.
pub(crate) struct Recipe {
    /// Short name, part of the archive's file name.
    pub(crate) name: &'static str,
    /// Names the archive carries; the first is its own, the rest let published quick starts find it.
    pub(crate) tags: &'static [&'static str],
    /// Debian packages besides the essential ones.
    pub(crate) packages: &'static [&'static str],
    /// Environment of everything that runs in the image.
    pub(crate) env: &'static [&'static str],
    /// Files of our own: path in the image, mode, content.
    pub(crate) files: &'static [(&'static str, &'static str, &'static str)],
}

/// The images, base first.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "base",
        tags: &["sandkeep/base:latest"],
        packages: BASE_PACKAGES,
        env: &[PATH, "LANG=C.UTF-8"],
        files: FILES,
    },
    Recipe {
        name: "code-interpreter",
        tags: &[
            "sandkeep/code-interpreter:latest",
            "opensandbox/code-interpreter:latest",
            "opensandbox/code-interpreter:v1.1.0",
        ],
        packages: CODE_INTERPRETER_PACKAGES,
        env: &[PATH, "LANG=C.UTF-8"],
        files: FILES,
    },
];

pub(crate) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// `usr-is-merged` instead of `usrmerge`, which would bring all of Perl along.
// `python-is-python3`, since the images that it stands in for in quick starts call it `python`.
const BASE_PACKAGES: &[&str] = &[
    "bash",
    "ca-certificates",
    "coreutils",
    "curl",
    "procps",
    "python-is-python3",
    "python3",
    "sudo",
    "usr-is-merged",
];

const CODE_INTERPRETER_PACKAGES: &[&str] = &[
    "bash",
    "ca-certificates",
    "coreutils",
    "curl",
    "default-jdk-headless",
    "git",
    "golang-go",
    "nodejs",
    "procps",
    "python3",
    "python3-pip",
    "python3-venv",
    "sudo",
    "usr-is-merged",
];

/// Left out of every package: nothing a program needs at run time.
pub(crate) const EXCLUDED: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/doc-base/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];

/// Kept of what `EXCLUDED` leaves out: licences travel with the programs.
pub(crate) const KEPT: &[&str] = &["/usr/share/doc/*/copyright"];

const FILES: &[(&str, &str, &str)] =
    &[("/opt/code-interpreter/code-interpreter.sh", "0755", CODE_INTERPRETER_ENTRYPOINT)];

// Published clients name this file as the entrypoint of a code sandbox. execd runs the code itself,
// so all that is left to do is to stay.
const CODE_INTERPRETER_ENTRYPOINT: &str = "#!/bin/sh\nexec sleep infinity\n";

/// Raised when the way an image is made changes, so that cached archives are made anew.
const METHOD: u32 = 2;

/// The image that tests and the quick start use.
pub(crate) fn base() -> &'static Recipe {
    &RECIPES[0]
}

impl Recipe {
    /// A text that differs when the image would.
    pub(crate) fn fingerprint(&self) -> String {
        format!(
            "{METHOD}\n{SUITE}\n{:?}\n{:?}\n{:?}\n{EXCLUDED:?}\n{KEPT:?}\n{:?}\n",
            self.tags, self.packages, self.env, self.files
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_recipes_apart() {
        assert_ne!(RECIPES[0].fingerprint(), RECIPES[1].fingerprint());
        let changed = Recipe { packages: &["bash"], ..*base() };
        assert_ne!(changed.fingerprint(), base().fingerprint());
    }
}
