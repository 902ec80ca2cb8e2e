//! The names of a manifest's members, which every reader must read alike.
//!
//! Go's `encoding/json`, with which most clients and registries read, takes `Layers` for `layers`, and of a member that stands
//! twice the last; others take neither, or the first. A document that one reader sees layers in and another does not is one
//! that a scanner passes and a client runs. So such a document is refused, wherever in it that is: no honest program writes
//! one.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Checks a document's names. That it is a manifest is checked elsewhere.
///
/// # Errors
///
/// What is wrong, with the name; or that it is no JSON.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Place::Manifest.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|error| error.to_string())
}

/// What stands at a place of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Manifest,
    Descriptor,
    Descriptors,
    Platform,
    /// Anything of which the specification names no members.
    Other,
}

impl Place {
    /// The members that the specification names here, with what stands at each.
    fn members(self) -> &'static [(&'static str, Place)] {
        use Place::{Descriptor, Descriptors, Other, Platform};
        match self {
            Place::Manifest => &[
                ("schemaVersion", Other),
                ("mediaType", Other),
                ("artifactType", Other),
                ("config", Descriptor),
                ("layers", Descriptors),
                ("manifests", Descriptors),
                ("subject", Descriptor),
                ("annotations", Other),
            ],
            Descriptor => &[
                ("mediaType", Other),
                ("digest", Other),
                ("size", Other),
                ("urls", Other),
                ("annotations", Other),
                ("data", Other),
                ("artifactType", Other),
                ("platform", Platform),
            ],
            Platform => &[
                ("architecture", Other),
                ("os", Other),
                ("os.version", Other),
                ("os.features", Other),
                ("variant", Other),
                ("features", Other),
            ],
            Descriptors | Other => &[],
        }
    }

    /// What stands at a member.
    fn at(self, name: &str) -> Result<Place, String> {
        let folded = fold(name);
        match self.members().iter().find(|(known, _)| fold(known) == folded) {
            Some((known, _)) if *known != name => {
                let name = shown(name);
                Err(format!("its member {name:?} differs from `{known}` in case alone, and is read as that by some"))
            }
            Some((_, place)) => Ok(*place),
            None => Ok(Place::Other),
        }
    }
}

/// Cuts a name of the client's to what can stand in a sentence.
fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

/// A name as Go compares it: the letters of ASCII without their case, and the two others that Unicode folds to some of them.
fn fold(name: &str) -> String {
    let fold = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

impl<'de> DeserializeSeed<'de> for Place {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let place = self.at(&name).map_err(A::Error::custom)?;
            map.next_value_seed(place)?;
            if let Some(name) = names.replace(name) {
                return Err(A::Error::custom(format!("its member {:?} stands twice", shown(&name))));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let element = if self == Place::Descriptors { Place::Descriptor } else { Place::Other };
        while list.next_element_seed(element)?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    use super::*;

    #[test]
    fn a_name_that_differs_from_the_specifications_in_case_alone_is_refused() {
        for text in [
            r#"{"Layers":[]}"#,
            r#"{"mediatype":"a"}"#,
            r#"{"SCHEMAVERSION":2}"#,
            r#"{"layers":[],"lay\u0065rS":[]}"#,
            r#"{"layer\u017f":[]}"#,
            "{\"layer\u{17f}\":[]}",
            r#"{"config":{"Digest":"a"}}"#,
            r#"{"layers":[{"digest":"a"},{"URLs":[]}]}"#,
            r#"{"subject":{"MediaType":"a"}}"#,
            r#"{"manifests":[{"platform":{"OS":"linux"}}]}"#,
            r#"{"manifests":[{"platform":{"os.Version":"1"}}]}"#,
            r#"{"manifests":[{"Platform":{}}]}"#,
        ] {
            assert!(check(text.as_bytes()).unwrap_err().contains("in case alone"), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_wherever_it_is() {
        for text in [
            r#"{"layers":[],"layers":[]}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"annotations":{"a":"1","a":"2"}}"#,
            r#"{"config":{"digest":"a","digest":"b"}}"#,
            r#"{"x":[[{"y":1,"y":1}]]}"#,
        ] {
            assert!(check(text.as_bytes()).unwrap_err().contains("stands twice"), "{text}");
        }
    }

    #[test]
    fn names_that_the_specification_has_not_may_be_any() {
        for text in [
            r#"{"schemaVersion":2,"config":{"mediaType":"a","digest":"b","size":1,"data":"eA==","X":null},"layers":[{"urls":["x"]}]}"#,
            r#"{"annotations":{"Layers":"a","layers":"b","MEDIATYPE":"c"},"x":{"Digest":1,"digest":1.5},"y":-1,"z":true}"#,
            r#"{"manifests":[{"platform":{"os":"a","os.version":"b","os.features":["c"],"architecture":"d","variant":"e"}}]}"#,
            "[]",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
        assert!(check(b"{").is_err() && check(b"{} {}").is_err());
        assert!(check("[".repeat(1_000_000).as_bytes()).is_err());
    }
}
