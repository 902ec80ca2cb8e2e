//! What is asked of a token, and what it grants: resources and their actions.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Access;
use super::jwt::Grant;

/// Writes what is needed as a challenge's scope: `repository:a:pull,push repository:b:pull`, in alphabetical order, each
/// resource once.
pub(super) fn scope(needed: &[Access]) -> String {
    let mut resources: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for access in needed {
        resources.entry((access.kind, &access.name)).or_default().insert(access.action.name());
    }
    let scope = |((kind, name), actions): (&(&str, &str), &BTreeSet<&str>)| {
        format!("{kind}:{name}:{}", actions.iter().copied().collect::<Vec<_>>().join(","))
    };
    resources.iter().map(scope).collect::<Vec<_>>().join(" ")
}

/// Returns whether everything is granted that is needed. A granted `*` is every action on its resource; there are no
/// patterns for names.
pub(super) fn covers(grants: &[Grant], needed: &[Access]) -> bool {
    needed.iter().all(|access| {
        grants.iter().filter(|grant| grant.kind == access.kind && grant.name == access.name).any(|grant| {
            let actions = grant.actions.as_deref().unwrap_or_default();
            actions.iter().any(|action| action == "*" || action == access.action.name())
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::super::Action;
    use super::*;

    fn grant(kind: &str, name: &str, actions: &[&str]) -> Grant {
        let actions = Some(actions.iter().map(|action| (*action).to_owned()).collect());
        Grant { kind: kind.to_owned(), name: name.to_owned(), actions }
    }

    #[test]
    fn a_scope_names_each_resource_once_and_in_order() {
        let needed = [
            Access::repository("b", Action::Pull),
            Access::repository("a", Action::Push),
            Access::catalog(),
            Access::repository("a", Action::Pull),
            Access::repository("a", Action::Push),
        ];
        assert_eq!(scope(&needed), "registry:catalog:* repository:a:pull,push repository:b:pull");
        assert_eq!(scope(&[]), "");
    }

    #[test]
    fn everything_needed_must_be_granted() {
        let needed = [Access::repository("a", Action::Pull), Access::repository("b", Action::Push)];
        assert!(covers(&[], &[]));
        assert!(!covers(&[grant("repository", "a", &["pull", "push"])], &needed));
        assert!(covers(&[grant("repository", "a", &["pull"]), grant("repository", "b", &["push"])], &needed));
        // In two parts, and by every action.
        let split = [grant("repository", "b", &["pull"]), grant("repository", "b", &["push"])];
        assert!(covers(&split, &needed[1..]));
        assert!(covers(&[grant("repository", "a", &["*"])], &needed[..1]));
    }

    #[test]
    fn a_grant_holds_for_its_very_resource_only() {
        let needed = [Access::repository("team/app", Action::Pull)];
        for (kind, name, action) in [
            ("registry", "team/app", "pull"),
            ("repository", "team", "*"),
            ("repository", "team/*", "*"),
            ("repository", "*", "*"),
            ("repository", "team/app/x", "pull"),
            ("repository", "TEAM/app", "pull"),
            ("repository", "team/app", "push"),
            ("repository", "team/app", "PULL"),
            ("repository", "team/app", "pull,push"),
        ] {
            assert!(!covers(&[grant(kind, name, &[action])], &needed), "{kind}:{name}:{action}");
        }
        assert!(!covers(&[grant("registry", "catalog", &["pull", "push", "delete"])], &[Access::catalog()]));
    }
}
