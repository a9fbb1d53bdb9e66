//! What a decision takes from outside the rollout: the configuration, and the operator's freeze.

use super::plan::Plan;
use super::position::Identity;
use crate::ids::{ServiceName, VersionName};
use crate::slo::Objectives;
use crate::time::Wall;

/// What the configuration says about one service, as far as its rollout is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    pub service: ServiceName,
    /// The file's stable: believed only while there is no position.
    pub stable: VersionName,
    /// Every listed version with its release; never empty.
    pub versions: Vec<Identity>,
    pub objectives: Objectives,
    pub plan: Option<Plan>,
}

impl Terms {
    pub fn listed(&self, version: &VersionName) -> Option<&Identity> {
        self.versions.iter().find(|identity| identity.version == *version)
    }

    /// The file's stable with its release.
    pub fn file_stable(&self) -> Identity {
        let unlisted =
            || Identity { version: self.stable.clone(), release: self.stable.to_string() };
        self.listed(&self.stable).cloned().unwrap_or_else(unlisted)
    }

    /// What the plan brings in.
    pub fn wanted(&self) -> Option<Identity> {
        let plan = self.plan.as_ref()?;
        Some(Identity { version: plan.to.clone(), release: plan.release.clone() })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// Set by an operator for every service; nothing but rollbacks happens.
    pub freeze: Option<Freeze>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    pub by: String,
    pub reason: String,
    pub since: Wall,
}
