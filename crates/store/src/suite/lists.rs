//! Lists and their pages.

use std::sync::Arc;

use super::{numbered, workloads, write};
use crate::interface::Store;
use crate::types::{Change, Key, ListPage, ListRequest, ResourceKey, Revision};

fn request(namespace: Option<&str>, limit: usize) -> ListRequest {
    ListRequest {
        resource: workloads(),
        namespace: namespace.map(Into::into),
        limit,
        after: None,
    }
}

fn names(page: &ListPage) -> Vec<String> {
    page.items
        .iter()
        .map(|item| format!("{}/{}", item.key.namespace, item.key.name))
        .collect()
}

async fn fill(store: &Arc<dyn Store>) -> Vec<String> {
    let mut expected = Vec::new();
    let mut changes = Vec::new();
    for namespace in ["shop", "shop-dev", "Shop", "zoo"] {
        for name in ["b", "a", "ab", "B", "a-1", "é"] {
            expected.push((namespace, name));
            let key = Key::namespaced(workloads(), namespace, name);
            changes.push(Change::Put(key, Arc::new(numbered(changes.len() as u64))));
        }
    }
    let others = [
        Key::cluster(ResourceKey::new("podium.dev", "projects"), "a"),
        Key::namespaced(ResourceKey::new("podium.de", "workloads"), "shop", "x"),
        Key::namespaced(ResourceKey::new("podium.dev", "workloadsets"), "shop", "x"),
        Key::namespaced(ResourceKey::new("", "workloads"), "shop", "x"),
    ];
    changes.extend(others.map(|key| Change::Put(key, Arc::new(numbered(0)))));
    write(store, changes).await;
    expected.sort_unstable();
    expected
        .into_iter()
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .collect()
}

pub(super) async fn pages_are_ordered_and_complete(store: Arc<dyn Store>) {
    let expected = fill(&store).await;
    let whole = store.list(&request(None, 0)).await.unwrap();
    assert_eq!(names(&whole), expected);
    assert_eq!(
        (whole.more, whole.revision),
        (false, store.revision().await.unwrap())
    );
    for item in &whole.items {
        assert_eq!(store.get(&item.key).await.unwrap().as_ref(), Some(item));
    }
    for limit in [1, 5, 6, 24, 25, usize::MAX] {
        let mut asked = request(None, limit);
        let mut all = Vec::new();
        loop {
            let page = store.list(&asked).await.unwrap();
            assert!(page.items.len() <= limit);
            let last = page.items.last().unwrap().key.clone();
            asked.after = Some((last.namespace, last.name));
            all.extend(names(&page));
            assert_eq!(page.more, all.len() < expected.len());
            if !page.more {
                break;
            }
        }
        assert_eq!(all, expected, "with pages of {limit}");
    }
}

pub(super) async fn namespaces_and_resources_are_kept_apart(store: Arc<dyn Store>) {
    let expected = fill(&store).await;
    for namespace in ["shop", "shop-dev", "Shop", "zoo", "none", ""] {
        let own: Vec<_> = expected
            .iter()
            .filter(|name| name.starts_with(&format!("{namespace}/")))
            .cloned()
            .collect();
        assert_eq!(
            names(&store.list(&request(Some(namespace), 0)).await.unwrap()),
            own
        );
        // A page may begin at a key of any namespace, also of one that is not listed.
        for (after, skipped) in [("A", 0), ("zz", own.len()), (namespace, 3.min(own.len()))] {
            let name = own
                .get(2)
                .filter(|_| after == namespace)
                .map_or("m", |name| &name[namespace.len() + 1..]);
            let mut asked = request(Some(namespace), 0);
            asked.after = Some((after.into(), name.into()));
            let page = store.list(&asked).await.unwrap();
            assert_eq!(names(&page), own[skipped..], "{namespace} after {after}");
        }
    }
    let projects = ListRequest {
        resource: ResourceKey::new("podium.dev", "projects"),
        ..request(Some(""), 0)
    };
    assert_eq!(names(&store.list(&projects).await.unwrap()), ["/a"]);
}

pub(super) async fn an_empty_list_has_a_revision(store: Arc<dyn Store>) {
    let page = store.list(&request(None, 10)).await.unwrap();
    assert_eq!(
        (page.items.len(), page.more, page.revision),
        (0, false, Revision(0))
    );
    let key = Key::namespaced(workloads(), "shop", "a");
    write(&store, vec![Change::Put(key.clone(), Arc::new(numbered(1)))]).await;
    write(&store, vec![Change::Delete(key)]).await;
    let page = store.list(&request(None, 10)).await.unwrap();
    assert_eq!(
        (page.items.len(), page.more, page.revision),
        (0, false, Revision(2))
    );
}
