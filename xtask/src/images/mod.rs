//! Sandbox images made from Debian's packages, as archives that any container engine loads.

pub(crate) mod archive;
pub(crate) mod recipe;
pub(crate) mod rootfs;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use oci_spec::image::ConfigBuilder;

use crate::paths;
use crate::progress::step;
use recipe::{RECIPES, Recipe};

#[derive(Args)]
pub(crate) struct Options {
    /// Make only this image: base or code-interpreter
    #[arg(long)]
    only: Option<String>,
    /// Make it again although the recipe is unchanged, to pick up newer packages
    #[arg(long)]
    fresh: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted: Vec<&Recipe> = match &options.only {
        None => RECIPES.iter().collect(),
        Some(name) => RECIPES.iter().filter(|recipe| recipe.name == name).collect(),
    };
    if wanted.is_empty() {
        let known: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
        bail!("there is no such image; there are: {}", known.join(", "));
    }
    for recipe in wanted {
        println!("{}", make(recipe, options.fresh)?.display());
    }
    Ok(())
}

/// The archive of the base image, made if needed.
pub(crate) fn base() -> Result<PathBuf> {
    make(recipe::base(), false)
}

/// The archives of all images, made if needed.
pub(crate) fn all() -> Result<()> {
    RECIPES.iter().try_for_each(|recipe| make(recipe, false).map(drop))
}

/// The name that the base image's archive gives it.
pub(crate) fn base_name() -> &'static str {
    recipe::base().tags[0]
}

fn make(recipe: &Recipe, fresh: bool) -> Result<PathBuf> {
    let dir = paths::output("images");
    let tar = dir.join(format!("sandkeep-{}.tar", recipe.name));
    let stamp = dir.join(format!("sandkeep-{}.recipe", recipe.name));
    let digest = archive::sha256_text(&recipe.fingerprint())?;
    if !fresh && tar.exists() && fs::read_to_string(&stamp).is_ok_and(|made| made == digest) {
        return Ok(tar);
    }
    crate::packages::install()?;
    fs::create_dir_all(&dir)?;
    step(&format!("Making the image {} from Debian's packages", recipe.tags[0]), || {
        let work = dir.join(format!("work-{}", recipe.name));
        let layer = rootfs::build(recipe, &work)?;
        let image = archive::Description {
            tags: recipe.tags,
            config: ConfigBuilder::default()
                .env(recipe.env.iter().map(|&variable| variable.to_owned()).collect::<Vec<_>>())
                .cmd(vec!["bash".to_owned()])
                .working_dir("/")
                .build()?,
            created_by: "cargo xtask images",
            packing: archive::Packing::Plain,
        };
        archive::write(&image, &[&layer], &work, &tar)?;
        fs::remove_dir_all(&work)?;
        Ok(fs::write(&stamp, &digest)?)
    })?;
    Ok(tar)
}
