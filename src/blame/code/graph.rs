//! Who calls whom, backwards: from a function to the user's own code.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::functions::Functions;
use super::image::{Filled, Slot};
use super::scan::Found;
use super::tables::Tables;

/// A kind of step from a caller to what it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Call,
    /// By an address that is taken, or a table: weaker, because who takes it
    /// need not call it.
    Table,
}

/// Nodes are functions, and behind them tables.
#[derive(Debug, Default)]
pub struct Graph {
    functions: u32,
    /// Callers of node n: `callers[first[n]..first[n + 1]]`.
    first: Vec<u32>,
    callers: Vec<(u32, bool)>,
}

/// A way from a caller down to where the search began.
#[derive(Debug)]
pub struct Way {
    pub functions: Vec<u32>,
    pub through_table: bool,
}

impl Graph {
    pub fn new(functions: &Functions, slots: &[Slot], found: &Found, tables: &Tables) -> Self {
        let count = functions.len() as u32;
        let mut edges: Vec<(u32, u32, Step)> = Vec::with_capacity(found.calls.len() + found.taken.len());
        edges.extend(found.calls.iter().map(|(from, to)| (*to, *from, Step::Call)));
        edges.extend(found.taken.iter().map(|(from, to)| (*to, *from, Step::Table)));
        for (function, address) in &found.data {
            if let Some(table) = tables.at(*address) {
                edges.push((count + table, *function, Step::Table));
            }
        }
        for slot in slots {
            let Filled::Own(target) = slot.filled else { continue };
            let Some(table) = tables.at(slot.address) else { continue };
            if let Some(function) = functions.starting(target) {
                edges.push((function, count + table, Step::Call));
            } else if let Some(other) = tables.at(target).filter(|other| *other != table) {
                edges.push((count + other, count + table, Step::Call));
            }
        }
        edges.sort_unstable_by_key(|(to, from, step)| (*to, *from, *step == Step::Table));
        edges.dedup_by_key(|(to, from, _)| (*to, *from));
        let nodes = count as usize + tables.len();
        let mut first = vec![0_u32; nodes + 1];
        for (to, _, _) in &edges {
            first[*to as usize + 1] += 1;
        }
        for at in 0..nodes {
            first[at + 1] += first[at];
        }
        let callers = edges.into_iter().map(|(_, from, step)| (from, step == Step::Table)).collect();
        Self { functions: count, first, callers }
    }

    /// The callers of a node, each with whether the step is by a table.
    fn callers(&self, node: u32) -> &[(u32, bool)] {
        let (from, to) = (self.first[node as usize], self.first[node as usize + 1]);
        &self.callers[from as usize..to as usize]
    }

    /// Functions that name a table themselves.
    pub fn users_of_table(&self, table: u32) -> impl Iterator<Item = u32> {
        let callers = self.callers(self.functions + table).iter();
        callers.map(|(from, _)| *from).filter(|from| *from < self.functions)
    }

    /// The way with the fewest steps by tables, and among those the fewest
    /// steps at all, from a function of which `is_wanted` to `to`.
    pub fn way(&self, to: u32, reached: &mut Reached, mut is_wanted: impl FnMut(u32) -> bool) -> Option<Way> {
        reached.begin(self.first.len());
        let mut queue = BinaryHeap::new();
        reached.set(to, to, (0, 0));
        queue.push(Reverse(((0, 0), to)));
        while let Some(Reverse((cost, node))) = queue.pop() {
            if reached.cost(node).is_some_and(|known| known < cost) {
                continue;
            }
            if node < self.functions && is_wanted(node) {
                return Some(self.walk(reached, node, to, cost.0 > 0));
            }
            for (caller, by_table) in self.callers(node) {
                let next = (cost.0 + u32::from(*by_table), cost.1 + 1);
                if reached.cost(*caller).is_none_or(|known| next < known) {
                    reached.set(*caller, node, next);
                    queue.push(Reverse((next, *caller)));
                }
            }
        }
        None
    }

    fn walk(&self, reached: &Reached, start: u32, to: u32, through_table: bool) -> Way {
        let mut functions = Vec::new();
        let mut node = start;
        loop {
            if node < self.functions {
                functions.push(node);
            }
            if node == to {
                return Way { functions, through_table };
            }
            node = reached.nodes[node as usize].next;
        }
    }
}

/// Steps by tables, and all steps.
type Cost = (u32, u32);

/// What one search has seen of each node. Kept from search to search: most of
/// them see little of a large graph.
#[derive(Debug, Default)]
pub struct Reached {
    nodes: Vec<Node>,
    search: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// Of which search the rest is.
    search: u32,
    /// The node after it on the way.
    next: u32,
    cost: Cost,
}

impl Reached {
    fn begin(&mut self, nodes: usize) {
        self.search = self.search.wrapping_add(1);
        if self.nodes.len() != nodes || self.search == 0 {
            (self.nodes, self.search) = (vec![Node::default(); nodes], 1);
        }
    }

    fn cost(&self, node: u32) -> Option<Cost> {
        let node = &self.nodes[node as usize];
        (node.search == self.search).then_some(node.cost)
    }

    fn set(&mut self, node: u32, next: u32, cost: Cost) {
        self.nodes[node as usize] = Node { search: self.search, next, cost };
    }
}
