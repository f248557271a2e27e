//! Names for the other parts of the sidecar, told as the namespace is told them.

use std::{io, net::IpAddr, rc::Rc};

use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
};

use super::{resolver::Resolver, upstream::Upstreams};

/// Questions that wait for their turn.
const QUEUE: usize = 256;

type Told = io::Result<Vec<IpAddr>>;

/// Asks the name server from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Names(mpsc::Sender<Wanted>);

#[derive(Debug)]
pub(super) struct Wanted {
    name: String,
    for_whom: ForWhom,
    told: oneshot::Sender<Told>,
}

/// Who wants to know.
#[derive(Debug, Clone, Copy)]
enum ForWhom {
    Namespace,
    Sidecar,
}

impl Names {
    /// The addresses the namespace is told for a name; it reaches them when this returns.
    pub async fn addresses(&self, name: String) -> io::Result<Vec<IpAddr>> {
        self.ask(name, ForWhom::Namespace).await
    }

    /// The addresses of a name for the sidecar itself: no rule is asked, and the namespace reaches nothing more.
    pub async fn own(&self, name: String) -> io::Result<Vec<IpAddr>> {
        self.ask(name, ForWhom::Sidecar).await
    }

    async fn ask(&self, name: String, for_whom: ForWhom) -> io::Result<Vec<IpAddr>> {
        let gone = || io::Error::other("the name server has ended");
        let (told, answer) = oneshot::channel();
        self.0.send(Wanted { name, for_whom, told }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

pub(super) fn channel() -> (Names, mpsc::Receiver<Wanted>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Names(sender), receiver)
}

/// Answers until nobody can ask any more.
pub(super) async fn serve(
    mut wanted: mpsc::Receiver<Wanted>,
    resolver: Rc<Resolver>,
    upstreams: Rc<Upstreams>,
) {
    while let Some(Wanted { name, for_whom, told }) = wanted.recv().await {
        let (resolver, upstreams) = (Rc::clone(&resolver), Rc::clone(&upstreams));
        spawn_local(async move {
            let addresses = match for_whom {
                ForWhom::Namespace => resolver.addresses(&name).await.map_err(io::Error::other),
                ForWhom::Sidecar => upstreams.lookup(&name).await,
            };
            // Whoever is gone needs no answer.
            let _ = told.send(addresses);
        });
    }
}
