//! Tests of the pointers, over a map.

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

type Map = Rc<RefCell<BTreeMap<Vec<u8>, Arc<Vec<u8>>>>>;

#[derive(Clone, Default)]
struct MapPointer {
    key: Arc<Vec<u8>>,
    map: Map,
}

impl KeyValuePointer for MapPointer {
    fn wrap(word: &Vec<u8>) -> Self {
        Self {
            key: Arc::new(word.clone()),
            map: Map::default(),
        }
    }

    fn unwrap(&self) -> Arc<Vec<u8>> {
        self.key.clone()
    }

    fn set(&mut self, v: Arc<Vec<u8>>) {
        self.map.borrow_mut().insert(self.key.to_vec(), v);
    }

    fn get(&self) -> Arc<Vec<u8>> {
        self.map
            .borrow()
            .get(self.key.as_slice())
            .cloned()
            .unwrap_or_default()
    }

    fn inherits(&mut self, from: &Self) {
        self.map = from.map.clone();
    }
}

fn list() -> MapPointer {
    MapPointer::from_keyword("/list")
}

fn bytes(text: &str) -> Arc<Vec<u8>> {
    Arc::new(text.as_bytes().to_vec())
}

fn linked(list: &MapPointer) -> Vec<String> {
    list.map_ll(|item, _| String::from_utf8(item.get().to_vec()).unwrap())
}

#[test]
fn keys_grow_by_appending() {
    let check = |pointer: MapPointer, expect: &[u8]| assert_eq!(*pointer.unwrap(), expect);
    let p = list();
    check(p.keyword("/a"), b"/list/a");
    check(p.select(&vec![0, 255]), b"/list\x00\xff");
    check(p.select_value(258u32), b"/list\x02\x01\x00\x00");
    check(p.length_key(), b"/list/length");
    check(p.head_key(), b"/list/head");
    check(p.next_key(1), b"/list/next\x01\x00\x00\x00");
    check(p.select_index(12), b"/list/12");
    check(p.prefix("x"), b"x/list");
}

#[test]
fn absent_values_read_as_empty_and_zero() {
    let p = list();
    assert!(p.get().is_empty());
    assert_eq!(p.get_value::<u64>(), 0);
    assert_eq!(p.length(), 0);
    assert!(p.pop().is_empty());
    assert_eq!(p.pop_value::<u32>(), 0);
    assert_eq!(linked(&p), [""; 0]);
}

#[test]
fn children_share_what_they_inherit() {
    let p = list();
    p.keyword("/a").set_value(7u8);
    assert_eq!(p.keyword("/a").get_value::<u8>(), 7);
}

#[test]
fn nullifying_writes_a_zero_byte() {
    let mut p = list();
    p.set_or_nullify(Arc::new(vec![0, 1]));
    assert_eq!(*p.get(), [0, 1]);
    p.set_or_nullify(Arc::new(vec![0, 0, 0, 0]));
    assert_eq!(*p.get(), [0]);
}

#[test]
fn a_list_grows_and_shrinks_at_its_end() {
    let p = list();
    p.append(bytes("a"));
    p.append_value(5u32);
    p.extend().set(bytes("c"));
    assert_eq!(
        p.get_list(),
        [bytes("a"), Arc::new(vec![5, 0, 0, 0]), bytes("c")]
    );
    assert_eq!(p.pop(), bytes("c"));
    assert_eq!(p.pop_value::<u32>(), 5);
    assert_eq!(p.length(), 1);
    p.append(bytes("d"));
    assert_eq!(p.get_list(), [bytes("a"), bytes("d")]);
    p.drop_index(0);
    assert_eq!(*p.get_list()[0], [0]);
}

#[test]
fn a_list_of_numbers_reads_as_numbers() {
    let p = list();
    for n in [3u64, 1, 2] {
        p.append_value(n);
    }
    assert_eq!(p.get_list_values::<u64>(), [3, 1, 2]);
}

#[test]
fn a_linked_list_forgets_what_is_deleted() {
    let check = |delete: &[u32], expect: &[&str]| {
        let p = list();
        for text in ["a", "b", "c", "d"] {
            p.append_ll(bytes(text));
        }
        for &i in delete {
            p.delete_value(i);
        }
        assert_eq!(linked(&p), expect, "deleting {delete:?}");
    };
    check(&[], &["a", "b", "c", "d"]);
    check(&[0], &["b", "c", "d"]);
    check(&[3], &["a", "b", "c"]);
    check(&[1, 2], &["a", "d"]);
    check(&[2, 1], &["a", "d"]);
    check(&[1, 1, 9], &["a", "c", "d"]);
    check(&[0, 1, 2, 3], &[]);
    check(&[3, 2, 1, 0], &[]);
}

#[test]
fn map_ll_may_write_to_the_items() {
    let p = list();
    p.append_ll(bytes("a"));
    p.append_ll(bytes("b"));
    let indices = p.map_ll(|item, index| {
        item.set(bytes("x"));
        index
    });
    assert_eq!(indices, [0, 1]);
    assert_eq!(linked(&p), ["x", "x"]);
}

proptest! {
    #[test]
    fn a_linked_list_behaves_like_a_vector(steps: Vec<Option<u8>>) {
        let p = list();
        let mut model: Vec<(u32, String)> = Vec::new();
        for (step, choice) in steps.into_iter().enumerate() {
            match choice {
                Some(pick) if !model.is_empty() => {
                    let (index, _) = model.remove(usize::from(pick) % model.len());
                    p.delete_value(index);
                }
                _ => {
                    let index = p.length();
                    p.append_ll(bytes(&step.to_string()));
                    model.push((index, step.to_string()));
                }
            }
            let expect: Vec<_> = model.iter().map(|(_, text)| text.clone()).collect();
            prop_assert_eq!(linked(&p), expect);
        }
    }
}
