//! Names for the other parts of the sidecar, told as the namespace is told them.

use std::{io, net::IpAddr, rc::Rc};

use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
};

use super::resolver::Resolver;

/// Questions that wait for their turn.
const QUEUE: usize = 256;

type Told = Result<Vec<IpAddr>, &'static str>;

/// Asks the name server from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Names(mpsc::Sender<Wanted>);

#[derive(Debug)]
pub(super) struct Wanted {
    name: String,
    told: oneshot::Sender<Told>,
}

impl Names {
    /// The addresses the namespace is told for a name; it reaches them when this returns.
    pub async fn addresses(&self, name: String) -> io::Result<Vec<IpAddr>> {
        let gone = || io::Error::other("the name server has ended");
        let (told, answer) = oneshot::channel();
        self.0.send(Wanted { name, told }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(io::Error::other)
    }
}

pub(super) fn channel() -> (Names, mpsc::Receiver<Wanted>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Names(sender), receiver)
}

/// Answers until nobody can ask any more.
pub(super) async fn serve(mut wanted: mpsc::Receiver<Wanted>, resolver: Rc<Resolver>) {
    while let Some(Wanted { name, told }) = wanted.recv().await {
        let resolver = Rc::clone(&resolver);
        spawn_local(async move {
            // Whoever is gone needs no answer.
            let _ = told.send(resolver.addresses(&name).await);
        });
    }
}
