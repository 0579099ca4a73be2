//! Which calls fetch a set of references: as few as the services allow. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::{Reference, SecretsManagerRef};

/// What one BatchGetSecretValue takes at most.
pub(crate) const SECRETS_IN_A_CALL: usize = 20;

/// What one GetParameters takes at most.
pub(crate) const PARAMETERS_IN_A_CALL: usize = 10;

/// Each of them once, in the order of their first appearance, and for each where it is among those.
pub(crate) fn distinct(references: impl Iterator<Item = Reference>) -> (Vec<Reference>, Vec<usize>) {
    let mut seen: HashMap<Reference, usize> = HashMap::new();
    let mut once = Vec::new();
    let mut places = Vec::new();
    for reference in references {
        let place = *seen.entry(reference).or_insert_with_key(|reference| {
            once.push(reference.clone());
            once.len() - 1
        });
        places.push(place);
    }
    (once, places)
}

/// The calls to one region. Numbers are positions in the list that was planned for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RegionPlan {
    /// BatchGetSecretValue: current values only, two or more each.
    pub secret_batches: Vec<Vec<usize>>,
    /// GetSecretValue: other versions, and a current value that would be alone in a batch: as many calls, and
    /// one permission less to need.
    pub single_secrets: Vec<usize>,
    /// GetParameters.
    pub parameter_batches: Vec<Vec<usize>>,
}

/// Plans the calls, by region. `references` name every value once; those that are not fetched from AWS are
/// left out.
pub(crate) fn plan(references: &[Reference]) -> BTreeMap<&str, RegionPlan> {
    let mut current: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut parameters: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut plans: BTreeMap<&str, RegionPlan> = BTreeMap::new();
    for (index, reference) in references.iter().enumerate() {
        match reference {
            Reference::SecretsManager(secret) if is_current(secret) => {
                current.entry(&secret.region).or_default().push(index);
            }
            Reference::SecretsManager(secret) => {
                plans
                    .entry(&secret.region)
                    .or_default()
                    .single_secrets
                    .push(index);
            }
            Reference::Parameter(parameter) => {
                parameters.entry(&parameter.region).or_default().push(index);
            }
            Reference::File(_) => {}
        }
    }
    for (region, indices) in current {
        let plan = plans.entry(region).or_default();
        for batch in indices.chunks(SECRETS_IN_A_CALL) {
            match batch {
                [alone] => plan.single_secrets.push(*alone),
                several => plan.secret_batches.push(several.to_vec()),
            }
        }
    }
    for (region, indices) in parameters {
        let batches = indices.chunks(PARAMETERS_IN_A_CALL).map(<[usize]>::to_vec);
        plans.entry(region).or_default().parameter_batches.extend(batches);
    }
    plans
}

/// Whether the batch action, which knows no versions, gives this value.
fn is_current(secret: &SecretsManagerRef) -> bool {
    let stage = secret.version_stage.as_deref();
    secret.version_id.is_none() && stage.is_none_or(|stage| stage == "AWSCURRENT")
}

impl RegionPlan {
    /// How many calls it takes if nothing goes wrong.
    #[cfg(test)]
    fn calls(&self) -> usize {
        self.secret_batches.len() + self.single_secrets.len() + self.parameter_batches.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{FileRef, ParameterRef};

    fn secret(region: &str, number: usize, stage: Option<&str>, id: Option<&str>) -> Reference {
        Reference::SecretsManager(SecretsManagerRef {
            arn: format!("arn:aws:secretsmanager:{region}:123456789012:secret:s{number}-AbCdEf"),
            region: region.into(),
            json_key: None,
            version_stage: stage.map(Into::into),
            version_id: id.map(Into::into),
        })
    }

    fn parameter(region: &str, number: usize) -> Reference {
        Reference::Parameter(ParameterRef {
            arn: format!("arn:aws:ssm:{region}:123456789012:parameter/p{number}"),
            region: region.into(),
            selector: None,
        })
    }

    fn sizes(batches: &[Vec<usize>]) -> Vec<usize> {
        batches.iter().map(Vec::len).collect()
    }

    #[test]
    fn nothing_needs_no_call() {
        let file = Reference::File(FileRef {
            path: "/run/secret".into(),
            json_key: None,
        });
        assert!(plan(&[]).is_empty());
        assert!(plan(&[file]).is_empty());
    }

    #[test]
    fn sixty_secrets_and_forty_parameters_in_two_regions_take_seven_calls() {
        let (west, east) = ("eu-west-1", "us-east-1");
        let mut references: Vec<_> = (0..40).map(|n| secret(west, n, None, None)).collect();
        references.extend((0..20).map(|n| secret(east, n, None, None)));
        references.extend((0..30).map(|n| parameter(west, n)));
        references.extend((0..10).map(|n| parameter(east, n)));
        let plans = plan(&references);
        assert_eq!(sizes(&plans[west].secret_batches), [20, 20]);
        assert_eq!(sizes(&plans[west].parameter_batches), [10, 10, 10]);
        assert_eq!(plans[west].calls() + plans[east].calls(), 7);
    }

    #[test]
    fn one_that_is_left_over_goes_alone() {
        let references: Vec<_> = (0..21).map(|n| secret("eu-west-1", n, None, None)).collect();
        let plans = plan(&references);
        assert_eq!(sizes(&plans["eu-west-1"].secret_batches), [20]);
        assert_eq!(plans["eu-west-1"].single_secrets, [20]);
    }

    #[test]
    fn versions_go_alone_and_the_current_stage_does_not() {
        let references = [
            secret("eu-west-1", 0, Some("AWSPREVIOUS"), None),
            secret("eu-west-1", 1, Some("AWSCURRENT"), None),
            secret("eu-west-1", 2, None, Some("v2")),
            secret("eu-west-1", 3, Some("AWSCURRENT"), Some("v3")),
            secret("eu-west-1", 4, None, None),
        ];
        let plans = plan(&references);
        assert_eq!(plans["eu-west-1"].secret_batches, [vec![1, 4]]);
        assert_eq!(plans["eu-west-1"].single_secrets, [0, 2, 3]);
    }

    #[test]
    fn a_value_has_one_name() {
        let named = |key: Option<&str>, stage| {
            let Reference::SecretsManager(mut it) = secret("eu-west-1", 1, stage, None) else {
                panic!("no secret")
            };
            it.json_key = key.map(Into::into);
            Reference::SecretsManager(it)
        };
        let references = [
            named(None, None),
            named(None, Some("AWSPREVIOUS")),
            named(Some("a"), Some("AWSCURRENT")),
            named(Some("b"), None),
            named(Some("b"), Some("AWSPREVIOUS")),
        ];
        let (once, places) = distinct(references.iter().map(Reference::without_json_key));
        assert_eq!(once, references[..2]);
        assert_eq!(places, [0, 1, 0, 0, 1]);
    }

    fn any_reference() -> impl Strategy<Value = Reference> {
        let region = prop_oneof![Just("eu-west-1"), Just("us-east-1"), Just("cn-north-1")];
        let stage =
            prop_oneof![3 => Just(None), 1 => Just(Some("AWSCURRENT")), 1 => Just(Some("AWSPREVIOUS"))];
        (region, 0..400usize, stage, any::<bool>()).prop_map(|(region, number, stage, is_secret)| {
            if is_secret {
                secret(region, number, stage, None)
            } else {
                parameter(region, number)
            }
        })
    }

    proptest! {
        #[test]
        fn everything_is_asked_for_once_in_its_region_and_in_as_few_calls_as_possible(
            references in proptest::collection::vec(any_reference(), 0..150),
        ) {
            let plans = plan(&references);
            let mut seen = BTreeSet::new();
            for (region, plan) in &plans {
                let mut indices = plan.single_secrets.clone();
                for batch in &plan.secret_batches {
                    prop_assert!((2..=SECRETS_IN_A_CALL).contains(&batch.len()));
                    for index in batch {
                        let Reference::SecretsManager(secret) = &references[*index] else { panic!("no secret") };
                        prop_assert!(is_current(secret));
                    }
                    indices.extend(batch);
                }
                for batch in &plan.parameter_batches {
                    prop_assert!((1..=PARAMETERS_IN_A_CALL).contains(&batch.len()));
                    for index in batch {
                        prop_assert!(matches!(references[*index], Reference::Parameter(_)));
                    }
                    indices.extend(batch);
                }
                for index in indices {
                    prop_assert_eq!(references[index].region(), Some(*region));
                    prop_assert!(seen.insert(index), "{} twice", index);
                }

                let here = || references.iter().filter(|r| r.region() == Some(*region));
                let count = |wanted: fn(&&Reference) -> bool| here().filter(wanted).count();
                let current = count(|r| matches!(r, Reference::SecretsManager(s) if is_current(s)));
                let versions = count(|r| matches!(r, Reference::SecretsManager(s) if !is_current(s)));
                let parameters = count(|r| matches!(r, Reference::Parameter(_)));
                prop_assert_eq!(plan.calls(), current.div_ceil(20) + versions + parameters.div_ceil(10));
            }
            prop_assert_eq!(seen.len(), references.len());
        }
    }
}
