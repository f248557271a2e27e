//! As much of the protocol buffers format as CRIU's requests, answers and images need.

/// What a field holds. The other kinds appear in nothing that is read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A message: its fields with their numbers, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message(Vec<(u32, Value)>);

const NUMBER: u64 = 0;
const BYTES: u64 = 2;

impl Message {
    pub(super) fn number(mut self, field: u32, value: u64) -> Self {
        self.0.push((field, Value::Number(value)));
        self
    }

    pub(super) fn flag(self, field: u32) -> Self {
        self.number(field, 1)
    }

    pub(super) fn text(mut self, field: u32, value: &str) -> Self {
        self.0.push((field, Value::Bytes(value.as_bytes().to_vec())));
        self
    }

    pub(super) fn message(mut self, field: u32, value: &Self) -> Self {
        self.0.push((field, Value::Bytes(value.encode())));
        self
    }

    pub(super) fn get_number(&self, field: u32) -> Option<u64> {
        self.0.iter().rev().find_map(|(number, value)| match value {
            Value::Number(value) if *number == field => Some(*value),
            _ => None,
        })
    }

    pub(super) fn get_bytes(&self, field: u32) -> Option<&[u8]> {
        self.0.iter().rev().find_map(|(number, value)| match value {
            Value::Bytes(value) if *number == field => Some(value.as_slice()),
            _ => None,
        })
    }

    pub(super) fn get_message(&self, field: u32) -> Option<Self> {
        Self::decode(self.get_bytes(field)?)
    }

    /// Puts another value into a field there is.
    pub(super) fn replace(&mut self, field: u32, value: Value) -> Option<()> {
        let found = self.0.iter_mut().rev().find(|(number, _)| *number == field)?;
        found.1 = value;
        Some(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (field, value) in &self.0 {
            match value {
                Value::Number(value) => {
                    put(&mut out, u64::from(*field) << 3 | NUMBER);
                    put(&mut out, *value);
                }
                Value::Bytes(value) => {
                    put(&mut out, u64::from(*field) << 3 | BYTES);
                    put(&mut out, value.len() as u64);
                    out.extend_from_slice(value);
                }
            }
        }
        out
    }

    /// `None` for what is no such message.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = take(&mut bytes)?;
            let value = match key & 7 {
                NUMBER => Value::Number(take(&mut bytes)?),
                BYTES => {
                    let length = usize::try_from(take(&mut bytes)?).ok()?;
                    let (value, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    Value::Bytes(value.to_vec())
                }
                _ => return None,
            };
            fields.push((u32::try_from(key >> 3).ok()?, value));
        }
        Some(Self(fields))
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_look_as_the_format_says() {
        let inner = Message::default().number(1, 300);
        let message = Message::default().flag(3).text(2, "ab").message(4, &inner).number(1, u64::MAX);
        let mut expected = vec![0x18, 1, 0x12, 2, b'a', b'b', 0x22, 3, 0x08, 0xac, 0x02, 0x08];
        expected.extend([0xff; 9]);
        expected.push(1);
        assert_eq!(message.encode(), expected);
        assert_eq!(message.get_message(4).and_then(|inner| inner.get_number(1)), Some(300));
        assert_eq!(message.get_bytes(2), Some(b"ab".as_slice()));
        assert_eq!(message.get_number(9), None);
    }

    #[test]
    fn a_field_is_replaced_where_it_is() {
        let mut message = Message::default().number(5, 1).number(6, 2);
        assert_eq!(message.replace(5, Value::Number(9)), Some(()));
        assert_eq!(message.replace(7, Value::Number(9)), None);
        assert_eq!(message, Message::default().number(5, 9).number(6, 2));
    }

    proptest! {
        #[test]
        fn nothing_makes_the_decoder_panic(bytes in any::<Vec<u8>>()) {
            let _ = Message::decode(&bytes);
        }

        #[test]
        fn what_is_encoded_is_decoded(number in any::<u64>(), text in ".{0,300}", field in 1..2000u32) {
            let message = Message::default().number(field, number).text(field, &text);
            prop_assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }
}
