//! What other nodes did: work for lanes of this one, and changes of what is kept in memory.

use std::{sync::Arc, time::Duration};

use store::nodes::News;
use tokio::time::sleep;

use crate::engine::Engine;

/// Least time between two losses of everything: what is loaded anew is used for a while.
const BETWEEN_LOSSES: Duration = Duration::from_millis(250);

impl Engine {
    /// Takes news until the engine stops.
    pub(crate) async fn run_news(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let news = tokio::select! {
                news = self.parts.store.news() => news,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            let lost = news.lost;
            self.hear(news);
            if lost {
                sleep(BETWEEN_LOSSES).await;
            }
        }
    }

    fn hear(self: &Arc<Self>, news: News) {
        let catalogues = &self.parts.catalogues;
        // The catalogue first: lanes that look again must find what is new.
        for (org, app) in &news.applications {
            catalogues.application_changed(*org, *app, None);
        }
        for org in &news.organizations {
            catalogues.organization_changed(*org);
        }
        if news.lost {
            catalogues.forget_all();
        }
        self.tell(|core, now| {
            for (_, app, message) in &news.expunged {
                core.message_expunged(*app, *message, now);
            }
            if news.lost {
                core.all_changed(now);
            } else {
                for (org, app) in &news.applications {
                    core.application_changed(*org, *app, now);
                }
            }
            for head in news.lanes {
                core.add_work(head, now);
            }
        });
        if news.lost || !news.applications.is_empty() {
            self.jobs.notify_one();
        }
        if news.lost || news.revocations {
            self.revocations.notify_one();
        }
        if news.shards {
            self.beat.notify_one();
        }
    }
}
