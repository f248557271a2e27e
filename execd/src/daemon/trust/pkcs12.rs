//! The key stores of newer Javas: PKCS#12 with certificates only, and without a password.

use super::{
    der::{self, BMP_STRING, INTEGER, MEMBER_0, OBJECT, OCTET_STRING, SEQUENCE, SET},
    java::{Refused, big_endian},
};

const VERSION: &[u8] = &[3];
/// Identifiers in their encoded form.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
/// Java's mark of a certificate that is trusted, and what for: everything.
const TRUSTED: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01];
const ANYTHING: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

/// The store with this certificate under the first of these names, and no other under any of them; `None` if that is
/// what it is. One with a password is refused.
pub(super) fn with(store: &[u8], aliases: &[&str], certificate: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let bags = bags(store).ok_or(Refused::Unknown)?;
    let names: Vec<Vec<u8>> = aliases.iter().map(|alias| big_endian(alias)).collect();
    let (ours, others): (Vec<&[u8]>, Vec<&[u8]>) = bags
        .into_iter()
        .partition(|bag| name_of(bag).is_some_and(|name| names.iter().any(|own| own == name)));
    let own = bag(&names[0], certificate);
    if ours == [&own[..]] {
        return Ok(None);
    }
    let contents = der::wrap(SEQUENCE, &[&others.concat(), &own]);
    let safe = der::wrap(SEQUENCE, &[&data(&contents)]);
    Ok(Some(der::wrap(SEQUENCE, &[&der::wrap(INTEGER, &[VERSION]), &data(&safe)])))
}

/// Everything in a store that is neither encrypted nor signed.
fn bags(mut store: &[u8]) -> Option<Vec<&[u8]>> {
    let mut members = der::expect(&mut store, SEQUENCE)?;
    if !store.is_empty() || der::expect(&mut members, INTEGER)? != VERSION {
        return None;
    }
    let mut safe = data_in(der::expect(&mut members, SEQUENCE)?)?;
    // What is left over is a digest made with a password.
    if !members.is_empty() {
        return None;
    }
    let mut bags = Vec::new();
    for part in der::all(der::expect(&mut safe, SEQUENCE)?)? {
        let mut contents = data_in(part.content).filter(|_| part.tag == SEQUENCE)?;
        bags.extend(der::all(der::expect(&mut contents, SEQUENCE)?)?.iter().map(|bag| bag.whole));
    }
    Some(bags)
}

/// The content of a `ContentInfo` with plain data.
fn data_in(mut info: &[u8]) -> Option<&[u8]> {
    if der::expect(&mut info, OBJECT)? != DATA {
        return None;
    }
    let mut explicit = der::expect(&mut info, MEMBER_0)?;
    der::expect(&mut explicit, OCTET_STRING)
}

fn data(content: &[u8]) -> Vec<u8> {
    let explicit = der::wrap(MEMBER_0, &[&der::wrap(OCTET_STRING, &[content])]);
    der::wrap(SEQUENCE, &[&der::wrap(OBJECT, &[DATA]), &explicit])
}

fn name_of(mut bag: &[u8]) -> Option<&[u8]> {
    let members = der::all(der::expect(&mut bag, SEQUENCE)?)?;
    let attributes = members.iter().find(|member| member.tag == SET)?;
    der::all(attributes.content)?.into_iter().find_map(|attribute| {
        let mut content = attribute.content;
        let mut values = der::expect(&mut content, OBJECT)
            .filter(|kind| *kind == FRIENDLY_NAME)
            .and_then(|_| der::expect(&mut content, SET))?;
        der::expect(&mut values, BMP_STRING)
    })
}

fn bag(name: &[u8], certificate: &[u8]) -> Vec<u8> {
    let object = |identifier: &[u8]| der::wrap(OBJECT, &[identifier]);
    let attribute =
        |kind: &[u8], value: Vec<u8>| der::wrap(SEQUENCE, &[&object(kind), &der::wrap(SET, &[&value])]);
    let value = der::wrap(MEMBER_0, &[&der::wrap(OCTET_STRING, &[certificate])]);
    let value = der::wrap(MEMBER_0, &[&der::wrap(SEQUENCE, &[&object(X509), &value])]);
    let mut attributes =
        [attribute(FRIENDLY_NAME, der::wrap(BMP_STRING, &[name])), attribute(TRUSTED, object(ANYTHING))];
    // The order of a set's members in DER.
    attributes.sort();
    let attributes = der::wrap(SET, &[&attributes.concat()]);
    der::wrap(SEQUENCE, &[&object(CERTIFICATE_BAG), &value, &attributes])
}
