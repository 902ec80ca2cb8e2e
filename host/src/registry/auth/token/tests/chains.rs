//! Chains of certificates in `x5c`.

use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, date_time_ymd};

use super::*;

/// The outcome for a token by the first of a chain, with the rest of it, for a bundle of some certificates.
fn chained(bundle: &[&Certified], chain: &[&Certified]) -> Result<(), String> {
    let pem: String = bundle.iter().map(|certificate| certificate.pem()).collect();
    let x5c: Vec<_> = chain.iter().map(|certificate| certificate.base64()).collect();
    outcome(&controller(&pem, &Value::Null), &token(&chain[0].key, json!({ "x5c": x5c })))
}

/// An authority by another.
fn intermediate(by: &Certified, change: impl FnOnce(&mut CertificateParams)) -> Certified {
    Certified::new("intermediate", Key::p384(), Some(by), |params| {
        authority(params);
        change(params);
    })
}

fn expired(params: &mut CertificateParams) {
    params.not_after = date_time_ymd(2025, 1, 1);
}

#[test]
fn a_chain_of_any_length_up_to_the_bundle_lets_in() {
    let root = Certified::root();
    let leaf = Certified::leaf(&root);
    assert_eq!(chained(&[&root], &[&leaf]), Ok(()));
    // The bundle's own at the end, as some servers send it.
    assert_eq!(chained(&[&root], &[&leaf, &root]), Ok(()));

    let middle = intermediate(&root, |_| {});
    let below = Certified::leaf(&middle);
    assert_eq!(chained(&[&root], &[&below, &middle]), Ok(()));
    assert_eq!(chained(&[&root], &[&below, &middle, &root]), Ok(()));
    // An intermediate that is trusted by itself.
    assert_eq!(chained(&[&middle], &[&below]), Ok(()));
    assert_eq!(chained(&[&middle], &[&below, &middle]), Ok(()));
}

#[test]
fn keys_of_every_kind_sign_certificates() {
    for key in [Key::rsa(), Key::p256(), Key::p384(), Key::ed25519()] {
        let root = Certified::new("root", key, None, authority);
        assert_eq!(chained(&[&root], &[&Certified::leaf(&root)]), Ok(()));
    }
}

#[test]
fn a_certificate_of_the_bundle_signs_tokens_itself_be_it_an_authority_or_not() {
    for certificate in [Certified::root(), Certified::new("self", Key::p256(), None, |_| {})] {
        assert_eq!(chained(&[&Certified::root(), &certificate], &[&certificate]), Ok(()));
    }
}

#[test]
fn the_root_is_found_among_several_of_one_name() {
    let (old, new) = (Certified::root(), Certified::root());
    assert_eq!(chained(&[&old, &new], &[&Certified::leaf(&new)]), Ok(()));
    assert_eq!(chained(&[&new, &old], &[&Certified::leaf(&new)]), Ok(()));
}

#[test]
fn a_chain_forged_with_the_names_of_the_real_one_is_refused() {
    let (root, forged) = (Certified::root(), Certified::root());
    let leaf = Certified::leaf(&forged);
    for chain in [&[&leaf][..], &[&leaf, &forged], &[&leaf, &root], &[&leaf, &forged, &root], &[&forged]] {
        assert!(chained(&[&root], chain).is_err());
    }
    // A real authority above a leaf that it did not sign.
    let middle = intermediate(&root, |_| {});
    let leaf = Certified::leaf(&intermediate(&root, |_| {}));
    let error = chained(&[&root], &[&leaf, &middle]).unwrap_err();
    assert!(error.contains("not signed by the next one's key"), "{error}");
}

#[test]
fn a_token_by_another_key_than_the_chains_is_refused() {
    let root = Certified::root();
    let leaf = Certified::leaf(&root);
    let forged = token(&Key::p256(), json!({ "x5c": [leaf.base64()] }));
    assert_eq!(outcome(&controller(&root.pem(), &Value::Null), &forged).unwrap_err(), "the token's signature is wrong");
}

#[test]
fn a_chain_is_verified_even_beside_the_name_of_a_trusted_key() {
    let (root, forger) = (Certified::root(), Certified::root());
    let controller = controller(&root.pem(), &root.key.jwks());
    for key in [&root.key, &forger.key] {
        let header = json!({ "kid": "key", "jwk": root.key.jwk(), "x5c": [forger.base64()] });
        assert!(outcome(&controller, &token(key, header)).is_err());
    }
}

#[test]
fn a_certificate_that_is_not_valid_now_refuses_wherever_it_stands() {
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2026, 1, 1);
    for change in [expired as fn(&mut CertificateParams), future] {
        let root = Certified::root();
        let leaf = Certified::new("leaf", Key::p256(), Some(&root), change);
        assert!(chained(&[&root], &[&leaf]).unwrap_err().contains("not valid now"));

        let middle = intermediate(&root, change);
        assert!(chained(&[&root], &[&Certified::leaf(&middle), &middle]).unwrap_err().contains("not valid now"));

        let root = Certified::new("root", Key::p256(), None, |params| {
            authority(params);
            change(params);
        });
        let leaf = Certified::leaf(&root);
        assert!(chained(&[&root], &[&leaf]).is_err());
        assert!(chained(&[&root], &[&leaf, &root]).is_err());
        assert!(chained(&[&root], &[&root]).is_err());
    }
}

#[test]
fn a_certificate_that_is_no_authoritys_signs_no_other() {
    let root = Certified::root();
    let no_authority = |params: &mut CertificateParams| params.is_ca = IsCa::NoCa;
    let explicitly = |params: &mut CertificateParams| params.is_ca = IsCa::ExplicitNoCa;
    let encrypts = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    for change in [no_authority as fn(&mut CertificateParams), explicitly, encrypts] {
        let middle = intermediate(&root, change);
        assert!(chained(&[&root], &[&Certified::leaf(&middle), &middle]).is_err());
        // Not even as one of the bundle.
        assert!(chained(&[&middle], &[&Certified::leaf(&middle)]).is_err());
        assert!(chained(&[&middle], &[&Certified::leaf(&middle), &middle]).is_err());
    }
}

#[test]
fn the_longest_chain_that_an_authority_allows_is_kept() {
    let limited =
        |depth| move |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    for (depth, fits) in [(0, false), (1, true)] {
        let root = Certified::new("root", Key::p256(), None, limited(depth));
        assert_eq!(chained(&[&root], &[&Certified::leaf(&root)]), Ok(()));
        let middle = intermediate(&root, |_| {});
        assert_eq!(chained(&[&root], &[&Certified::leaf(&middle), &middle]).is_ok(), fits, "{depth}");

        let upper = intermediate(&Certified::root(), limited(depth));
        let lower = Certified::new("lower", Key::p256(), Some(&upper), authority);
        let chain = [&Certified::leaf(&lower), &lower, &upper];
        assert_eq!(chained(&[&upper], &chain).is_ok(), fits, "{depth}");
    }
}

#[test]
fn a_chain_out_of_order_or_with_a_gap_is_refused() {
    let root = Certified::root();
    let middle = intermediate(&root, |_| {});
    let leaf = Certified::leaf(&middle);
    assert!(chained(&[&root], &[&leaf]).is_err());
    assert!(chained(&[&root], &[&leaf, &root]).is_err());
    assert!(chained(&[&root], &[&leaf, &root, &middle]).is_err());
}

#[test]
fn a_chain_without_end_is_refused() {
    let mut chain = vec![Certified::root()];
    for _ in 0..8 {
        let next = Certified::new("root", Key::p256(), chain.last(), authority);
        chain.push(next);
    }
    let (root, below) = chain.split_first().unwrap();
    let below: Vec<_> = below.iter().rev().collect();
    assert_eq!(chained(&[root], &below), Ok(()));
    let longer: Vec<_> = below.iter().copied().chain([root]).collect();
    assert!(chained(&[root], &longer).unwrap_err().contains("more than 8"));
}

#[test]
fn what_a_certificate_is_for_besides_makes_no_difference() {
    let root = Certified::root();
    let leaf = Certified::new("leaf", Key::p256(), Some(&root), |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        params.subject_alt_names = vec![rcgen::SanType::DnsName("auth.example.com".try_into().unwrap())];
    });
    assert_eq!(chained(&[&root], &[&leaf]), Ok(()));
}

#[test]
fn constraints_that_are_not_understood_refuse_a_chain() {
    let names = |params: &mut CertificateParams| {
        let only = rcgen::GeneralSubtree::DnsName("example.com".to_owned());
        params.name_constraints =
            Some(rcgen::NameConstraints { permitted_subtrees: vec![only], excluded_subtrees: Vec::new() });
    };
    let extension = |params: &mut CertificateParams| {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    };
    // Names again, in an extension that says of itself that it may be passed over.
    let politely = |params: &mut CertificateParams| {
        let names = b"\x30\x09\xa0\x07\x30\x05\x82\x03a.b";
        params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 30], names.to_vec())];
    };
    for change in [names as fn(&mut CertificateParams), extension, politely] {
        let root = Certified::root();
        let middle = intermediate(&root, change);
        let error = chained(&[&root], &[&Certified::leaf(&middle), &middle]).unwrap_err();
        assert!(error.contains("not understood"), "{error}");
        assert!(chained(&[&middle], &[&Certified::leaf(&middle)]).is_err());
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    let root = Certified::root();
    let controller = controller(&root.pem(), &Value::Null);
    let leaf = Certified::leaf(&root);
    let longer = STANDARD.encode([&leaf.der[..], &[0]].concat());
    let shorter = STANDARD.encode(&leaf.der[..leaf.der.len() - 1]);
    for certificate in ["", "!", "AA==", &longer, &shorter, &URL_SAFE_NO_PAD.encode(&leaf.der)] {
        let outcome = outcome(&controller, &token(&leaf.key, json!({ "x5c": [certificate] })));
        assert!(outcome.is_err(), "{certificate}");
    }
}

/// Whatever a certificate's bytes are, it neither panics nor vouches for another key. The frame around the signed part is
/// not signed, and the parser is lax there: that changes nothing.
#[test]
fn no_signed_byte_of_a_certificate_can_be_changed() {
    let root = Certified::root();
    let leaf = Certified::leaf(&root);
    let mut anchors = certificates::Anchors::default();
    anchors.add(&root.der).unwrap();
    let verify = |der: &[u8]| anchors.verify(&[STANDARD.encode(der)], now());
    let key = verify(&leaf.der).unwrap();
    let parsed = certificates::parse(&leaf.der).unwrap();
    let signed = parsed.tbs_certificate.as_ref();
    let begin = leaf.der.windows(signed.len()).position(|window| window == signed).unwrap();
    for place in 0..leaf.der.len() {
        for bit in 0..8 {
            let mut changed = leaf.der.clone();
            changed[place] ^= 1 << bit;
            let framing = !(begin..begin + signed.len()).contains(&place);
            match verify(&changed) {
                Err(_) => {}
                Ok(same) => assert!(framing && same == key, "{place} {bit}"),
            }
        }
    }
}

#[test]
fn an_authority_of_another_name_is_refused_although_it_has_the_key() {
    let root = Certified::root();
    let middle = intermediate(&root, |_| {});
    let same_key = Key(KeyPair::from_pem(&middle.key.0.serialize_pem()).unwrap());
    let renamed = Certified::new("other", same_key, Some(&root), authority);
    let leaf = Certified::leaf(&middle);
    assert_eq!(chained(&[&root], &[&leaf, &middle]), Ok(()));
    assert!(chained(&[&root], &[&leaf, &renamed]).unwrap_err().contains("not by the next one's owner"));
}

/// A chain from the files of `testdata`, made by `openssl x509 -req` without extensions: their key is not needed.
fn stored(chain: &[&str]) -> Result<key::PublicKey, String> {
    let certificate = |pem: &str| certificates::read_bundle(pem.as_bytes()).unwrap().remove(0);
    let mut anchors = certificates::Anchors::default();
    anchors.add(&certificate(include_str!("../testdata/root.pem"))).unwrap();
    let chain: Vec<_> = chain.iter().map(|pem| STANDARD.encode(certificate(pem))).collect();
    // The files begin to be valid when they were made.
    anchors.verify(&chain, now() + Duration::from_secs(10 * 365 * 24 * 3600))
}

#[test]
fn a_certificate_of_version_1_signs_tokens() {
    assert!(stored(&[include_str!("../testdata/leaf.v1.pem")]).is_ok());
}

#[test]
fn a_certificate_of_version_1_in_a_token_signs_no_other() {
    let chain = [include_str!("../testdata/below.v1.pem"), include_str!("../testdata/leaf.v1.pem")];
    assert!(stored(&chain).unwrap_err().contains("is no authority's"));
}

#[test]
fn a_certificate_signed_with_sha_1_is_refused() {
    let error = stored(&[include_str!("../testdata/leaf.sha1.pem")]).unwrap_err();
    assert!(error.contains("does not lead to"), "{error}");
}
