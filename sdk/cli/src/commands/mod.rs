//! What the commands do.

mod copy;
mod doctor;
mod exec;
mod forward;
mod local;
mod policy;
pub(crate) mod sandboxes;
mod settings;
mod shell;
mod stored;
mod up;
mod vault;
mod watch;

use anyhow::Result;
use sandkeep::{Client, Sandbox};

use crate::{
    args::{Cli, Command, Format, Global},
    context, ids,
};

/// What every command works with.
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) format: Format,
    proxy: bool,
}

impl App {
    fn new(global: &Global) -> Result<Self> {
        Ok(Self { client: context::client(global)?, format: global.output, proxy: global.proxy })
    }

    /// A sandbox by the beginning of its id, and its execd.
    async fn connect(&self, given: &str) -> Result<Sandbox> {
        let id = ids::resolve(&self.client, given).await?;
        Ok(if self.proxy {
            Sandbox::connect_through_server(&self.client, &id).await?
        } else {
            Sandbox::connect(&self.client, &id).await?
        })
    }
}

/// Does what was typed; the answer is the tool's exit status.
pub(crate) async fn run(cli: Cli) -> Result<u8> {
    let app = || App::new(&cli.global);
    match cli.command {
        Command::Up(args) => up::up(&cli.global, &args).await?,
        Command::Down(args) => up::down(&args).await?,
        Command::Create(args) => sandboxes::create(&app()?, args).await?,
        Command::Run(args) => return exec::run(&app()?, args).await,
        Command::Exec(args) => return exec::exec(&app()?, args).await,
        Command::Shell(args) => return shell::shell(&app()?, &args).await,
        Command::Cp(args) => copy::copy(&app()?, &args).await?,
        Command::Ls(args) => copy::list(&app()?, &args).await?,
        Command::Logs(args) => watch::logs(&app()?, args).await?,
        Command::Events(args) => watch::events(&app()?, args).await?,
        Command::Top(args) => watch::top(&app()?, args).await?,
        Command::Ps(args) => sandboxes::ps(&app()?, args).await?,
        Command::Inspect(args) => sandboxes::inspect(&app()?, &args.sandbox).await?,
        Command::Rm(args) => sandboxes::each(&app()?, &args, sandboxes::Act::Delete).await?,
        Command::Pause(args) => sandboxes::each(&app()?, &args, sandboxes::Act::Pause).await?,
        Command::Resume(args) => sandboxes::each(&app()?, &args, sandboxes::Act::Resume).await?,
        Command::Start(args) => sandboxes::each(&app()?, &args, sandboxes::Act::Start).await?,
        Command::Stop(args) => {
            sandboxes::each(&app()?, &args.many, sandboxes::Act::Stop { memory: args.memory }).await?;
        }
        Command::Snapshot(action) => stored::snapshot(&app()?, action).await?,
        Command::Image(action) => stored::image(&app()?, action).await?,
        Command::Pool(action) => stored::pool(&app()?, action).await?,
        Command::Policy(action) => policy::policy(&app()?, action).await?,
        Command::Vault(action) => vault::vault(&app()?, action).await?,
        Command::PortForward(args) => forward::forward(&app()?, &args).await?,
        Command::Doctor => return doctor::doctor(&cli.global).await,
        Command::Mcp(action) => crate::mcp::mcp(&cli.global, action).await?,
        Command::Config(action) => settings::config(action, cli.global.output)?,
        Command::Completion { shell } => settings::completion(shell)?,
        Command::Man { directory } => settings::man(&directory)?,
    }
    Ok(0)
}
