//! The graph of an environment as SVG: layers from left to right, what asks at the left of what it asks for.
//!
//! **What it guarantees.** The same graph gives the same bytes. Every text is escaped and cut to its box. An edge
//! that crosses layers has a place of its own in each, so that it runs between boxes and not behind them. Colours
//! only repeat what the sign in each box says.
//!
//! **Rejected.** A layout crate: those at hand bring a renderer and fonts, and their output changes between versions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podium_model::api::{GraphEdge, GraphNode, GraphResponse};
use podium_model::kinds::Phase;

use super::text::{harmless, phase_sign, phase_word, shortened};

const BOX_WIDTH: usize = 208;
const BOX_HEIGHT: usize = 64;
const LANE_HEIGHT: usize = 18;
const GAP_X: usize = 88;
const GAP_Y: usize = 22;
const MARGIN: usize = 24;
const TITLE: usize = 40;
/// Characters that fit into a box.
const LETTERS: usize = 27;
/// Times that layers are sorted by their neighbours; more changes nothing that is seen.
const SWEEPS: usize = 6;

/// What stands at a place of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    /// A node, by its place in the answer.
    Node(usize),
    /// A place where an edge passes through.
    Lane,
}

impl Item {
    fn height(self) -> usize {
        match self {
            Self::Node(_) => BOX_HEIGHT,
            Self::Lane => LANE_HEIGHT,
        }
    }
}

/// Items in layers, and what joins neighbouring layers.
struct Layout {
    items: Vec<Item>,
    layer: Vec<usize>,
    /// Items of each layer, from top to bottom.
    layers: Vec<Vec<usize>>,
    /// For each edge the items it passes, from left to right, and whether it is to be drawn from right to left.
    routes: Vec<(Vec<usize>, bool)>,
    /// Top of each item.
    top: Vec<usize>,
    height: usize,
}

/// The drawing.
pub(crate) fn render(graph: &GraphResponse) -> String {
    let layout = lay_out(&graph.nodes, &graph.edges);
    let columns = layout.layers.len().max(1);
    let width = 2 * MARGIN + columns * BOX_WIDTH + (columns - 1) * GAP_X;
    let height = 2 * MARGIN + TITLE + layout.height.max(BOX_HEIGHT);
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"ui-sans-serif, system-ui, sans-serif\" font-size=\"13\">"
    );
    let title = format!(
        "{}/{}, release {}",
        graph.project, graph.environment, graph.release
    );
    let _ = write!(svg, "<title>{}</title>\n{STYLE}", escape(&title));
    let _ = writeln!(svg, "<rect width=\"100%\" height=\"100%\" class=\"ground\"/>");
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{}\" class=\"title\">{}</text>",
        MARGIN + 14,
        escape(&title)
    );
    if graph.nodes.is_empty() {
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{}\">nothing is asked for here</text>",
            MARGIN + TITLE + 14
        );
    }
    for (edge, (route, backwards)) in graph
        .edges
        .iter()
        .filter(|edge| is_drawn(edge, &graph.nodes))
        .zip(&layout.routes)
    {
        draw_edge(&mut svg, &layout, edge, route, *backwards);
    }
    for (at, item) in layout.items.iter().enumerate() {
        if let Item::Node(index) = item
            && let Some(node) = graph.nodes.get(*index)
        {
            draw_node(
                &mut svg,
                node,
                left(layout.layer[at]),
                MARGIN + TITLE + layout.top[at],
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

const STYLE: &str = "<defs>
<marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto-start-reverse\"><path d=\"M0,0 L8,4 L0,8 z\" class=\"tip\"/></marker>
</defs>
<style>
.ground { fill: #ffffff }
.title { font-size: 16px; font-weight: 600 }
text { fill: #1f2430 }
.small { font-size: 11px; fill: #5b6372 }
.box { fill: #f6f8fa; stroke: #8a93a3 }
.workload { fill: #eef4ff }
.good { stroke: #2f7d4f }
.bad { stroke: #b3261e; stroke-width: 2 }
.wait { stroke: #9a6700; stroke-dasharray: 5 3 }
.busy { stroke: #0b6e99 }
.edge { fill: none; stroke: #6b7484; stroke-width: 1.4 }
.knows { stroke-dasharray: 4 4 }
.tip { fill: #6b7484 }
@media (prefers-color-scheme: dark) {
.ground { fill: #14171c }
text { fill: #e7eaf0 }
.small { fill: #a3acbb }
.box { fill: #1e232b }
.workload { fill: #1b2740 }
}
</style>
";

fn left(layer: usize) -> usize {
    MARGIN + layer * (BOX_WIDTH + GAP_X)
}

fn draw_node(svg: &mut String, node: &GraphNode, x: usize, y: usize) {
    let resource = &node.resource;
    let state = match node.phase {
        Some(Phase::Ready) => "good",
        Some(Phase::Failed | Phase::Degraded) => "bad",
        Some(Phase::Applying | Phase::Deleting) => "busy",
        Some(Phase::Waiting) | None => "wait",
    };
    let workload = if resource.is_workload() { " workload" } else { "" };
    let phase = node.phase.map_or("not made yet", phase_word);
    let sign = node.phase.map_or('?', phase_sign);
    let tip = format!("{resource}\n{}\n{phase}", node.module);
    let cut = |text: &str, letters: usize| escape(&shortened(&harmless(text), letters));
    let _ = writeln!(svg, "<g><title>{}</title>", escape(&tip));
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\" class=\"box{workload} {state}\"/>"
    );
    let x = x + 12;
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{}\" font-weight=\"600\">{sign} {}</text>",
        y + 22,
        cut(&resource.id, LETTERS - 4)
    );
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{}\">{}</text>",
        y + 39,
        cut(&resource.type_and_class(), LETTERS)
    );
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{}\" class=\"small\">{}</text></g>",
        y + 55,
        cut(&node.module, LETTERS + 5)
    );
}

fn draw_edge(svg: &mut String, layout: &Layout, edge: &GraphEdge, route: &[usize], backwards: bool) {
    let middle = |item: usize| MARGIN + TITLE + layout.top[item] + layout.items[item].height() / 2;
    let (Some(first), Some(last)) = (route.first(), route.last()) else {
        return;
    };
    let mut path = String::new();
    if layout.layer[*first] == layout.layer[*last] {
        // Two nodes of one layer: a bow at their right side.
        let x = left(layout.layer[*first]) + BOX_WIDTH;
        let bow = x + GAP_X / 2;
        let _ = write!(
            path,
            "M{x},{} C{bow},{} {bow},{} {x},{}",
            middle(*first),
            middle(*first),
            middle(*last),
            middle(*last)
        );
    } else {
        let _ = write!(
            path,
            "M{},{}",
            left(layout.layer[*first]) + BOX_WIDTH,
            middle(*first)
        );
        for pair in route.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let start = left(layout.layer[from]) + BOX_WIDTH;
            let end = left(layout.layer[to]);
            let half = usize::midpoint(start, end);
            let _ = write!(
                path,
                " C{half},{} {half},{} {end},{}",
                middle(from),
                middle(to),
                middle(to)
            );
            if layout.items[to] == Item::Lane {
                let _ = write!(path, " L{},{}", end + BOX_WIDTH, middle(to));
            }
        }
    }
    let class = if edge.orders { "edge" } else { "edge knows" };
    let end = if backwards { "marker-start" } else { "marker-end" };
    let _ = writeln!(svg, "<path d=\"{path}\" class=\"{class}\" {end}=\"url(#tip)\"/>");
}

/// Whether both ends are there, and are two.
fn is_drawn(edge: &GraphEdge, nodes: &[GraphNode]) -> bool {
    edge.from != edge.to
        && nodes.iter().any(|node| node.name == edge.from)
        && nodes.iter().any(|node| node.name == edge.to)
}

fn lay_out(nodes: &[GraphNode], edges: &[GraphEdge]) -> Layout {
    let index: BTreeMap<&str, usize> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (node.name.as_str(), at))
        .collect();
    let links: Vec<(usize, usize, bool)> = edges
        .iter()
        .filter(|edge| is_drawn(edge, nodes))
        .filter_map(|edge| {
            Some((
                *index.get(edge.from.as_str())?,
                *index.get(edge.to.as_str())?,
                edge.orders,
            ))
        })
        .collect();
    let mut layout = Layout {
        items: (0..nodes.len()).map(Item::Node).collect(),
        layer: layers_of(nodes.len(), &links),
        layers: Vec::new(),
        routes: Vec::new(),
        top: Vec::new(),
        height: 0,
    };
    for (from, to, _) in &links {
        let backwards = layout.layer[*from] > layout.layer[*to];
        let (start, end) = if backwards { (*to, *from) } else { (*from, *to) };
        let mut route = vec![start];
        for layer in layout.layer[start] + 1..layout.layer[end] {
            layout.items.push(Item::Lane);
            layout.layer.push(layer);
            route.push(layout.items.len() - 1);
        }
        route.push(end);
        layout.routes.push((route, backwards));
    }
    let count = layout.layer.iter().map(|layer| layer + 1).max().unwrap_or(0);
    layout.layers = vec![Vec::new(); count];
    for (item, layer) in layout.layer.iter().enumerate() {
        layout.layers[*layer].push(item);
    }
    sort_layers(&mut layout);
    place(&mut layout);
    layout
}

/// The layer of each node: what asks stands left of what it asks for. Edges that only know of each other count where
/// they do not run in a circle with others.
fn layers_of(count: usize, links: &[(usize, usize, bool)]) -> Vec<usize> {
    let mut layer = vec![0_usize; count];
    let relax = |layer: &mut Vec<usize>, ordering_only: bool| {
        // Longest paths need at most one round a node; more rounds mean a circle, which is left as it is.
        for _ in 0..count {
            let mut moved = false;
            for (from, to, orders) in links {
                if (*orders || !ordering_only) && layer[*to] <= layer[*from] {
                    layer[*to] = layer[*from] + 1;
                    moved = true;
                }
            }
            if !moved {
                return true;
            }
        }
        false
    };
    let all = relax(&mut layer, false);
    if !all {
        layer = vec![0; count];
        relax(&mut layer, true);
    }
    // A circle of ordering edges cannot be, but must not make layers without end either.
    for one in &mut layer {
        *one = (*one).min(count.saturating_sub(1));
    }
    layer
}

/// Sorts each layer by the middle of its neighbours, to and fro, so that few edges cross.
fn sort_layers(layout: &mut Layout) {
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); layout.items.len()];
    let mut after = before.clone();
    for (route, _) in &layout.routes {
        for pair in route.windows(2) {
            after[pair[0]].push(pair[1]);
            before[pair[1]].push(pair[0]);
        }
    }
    for sweep in 0..SWEEPS {
        let forth = sweep % 2 == 0;
        let neighbours = if forth { &before } else { &after };
        let mut order: Vec<usize> = (0..layout.layers.len()).collect();
        if !forth {
            order.reverse();
        }
        for layer in order {
            let mut position = vec![0_usize; layout.items.len()];
            for items in &layout.layers {
                for (at, item) in items.iter().enumerate() {
                    position[*item] = at;
                }
            }
            // Thousandths, since whole numbers sort the same on every machine.
            let key = |item: usize| {
                let near = &neighbours[item];
                if near.is_empty() {
                    position[item] * 1000
                } else {
                    near.iter().map(|other| position[*other] * 1000).sum::<usize>() / near.len()
                }
            };
            let mut keyed: Vec<(usize, usize)> = layout.layers[layer]
                .iter()
                .map(|item| (key(*item), *item))
                .collect();
            keyed.sort_by_key(|(key, _)| *key);
            layout.layers[layer] = keyed.into_iter().map(|(_, item)| item).collect();
        }
    }
}

/// Stacks the items of each layer, each layer in the middle.
fn place(layout: &mut Layout) {
    let heights: Vec<usize> = layout
        .layers
        .iter()
        .map(|items| {
            let gaps = items.len().saturating_sub(1) * GAP_Y;
            items
                .iter()
                .map(|item| layout.items[*item].height())
                .sum::<usize>()
                + gaps
        })
        .collect();
    layout.height = heights.iter().copied().max().unwrap_or(0);
    layout.top = vec![0; layout.items.len()];
    for (items, height) in layout.layers.iter().zip(&heights) {
        let mut top = (layout.height - height) / 2;
        for item in items {
            layout.top[*item] = top;
            top += layout.items[*item].height() + GAP_Y;
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use podium_model::api::{GraphEdge, GraphNode, GraphResponse};
    use podium_model::coordinate::Coordinate;
    use podium_model::kinds::Phase;

    use super::{lay_out, render};

    fn node(kind: &str, id: &str, phase: Option<Phase>) -> GraphNode {
        GraphNode {
            resource: Coordinate::new(kind, "default", id),
            name: id.to_owned(),
            module: "script/some-module v1".to_owned(),
            phase,
        }
    }

    fn edge(from: &str, to: &str, orders: bool) -> GraphEdge {
        GraphEdge {
            from: from.to_owned(),
            to: to.to_owned(),
            orders,
        }
    }

    fn graph(nodes: Vec<GraphNode>, edges: Vec<GraphEdge>) -> GraphResponse {
        GraphResponse {
            project: "demo".into(),
            environment: "dev".into(),
            release: 3,
            nodes,
            edges,
        }
    }

    fn shop() -> GraphResponse {
        graph(
            vec![
                node("workload", "shop", Some(Phase::Ready)),
                node("workload", "billing <&>", Some(Phase::Degraded)),
                node("postgres", "db", Some(Phase::Ready)),
                node("postgres-instance", "instance", None),
                node("volume", "data", Some(Phase::Applying)),
            ],
            vec![
                edge("shop", "db", true),
                edge("billing <&>", "db", true),
                edge("shop", "billing <&>", false),
                edge("billing <&>", "shop", false),
                edge("db", "instance", true),
                edge("instance", "data", true),
                edge("shop", "data", true),
            ],
        )
    }

    #[test]
    fn draws_the_same_graph_the_same_way() {
        insta::assert_snapshot!(render(&shop()));
    }

    #[test]
    fn what_asks_stands_left_of_what_it_asks_for() {
        let graph = shop();
        let layout = lay_out(&graph.nodes, &graph.edges);
        assert_eq!(
            &layout.layer[..5],
            [0, 0, 1, 2, 3],
            "nodes that know each other stay in one layer"
        );
        let lanes = layout.layer.len() - 5;
        assert_eq!(lanes, 2, "shop to data passes two layers");
    }

    #[test]
    fn boxes_of_a_layer_do_not_overlap() {
        let nodes = (0..40)
            .map(|at| node("postgres", &format!("n{at}"), None))
            .collect::<Vec<_>>();
        let edges = (1..40)
            .map(|at| edge(&format!("n{}", at / 3), &format!("n{at}"), true))
            .collect::<Vec<_>>();
        let layout = lay_out(&nodes, &edges);
        for items in &layout.layers {
            for pair in items.windows(2) {
                assert!(layout.top[pair[0]] + layout.items[pair[0]].height() < layout.top[pair[1]]);
            }
        }
    }

    #[test]
    fn a_circle_and_an_unknown_end_do_no_harm() {
        let nodes = vec![node("a", "a", None), node("b", "b", None)];
        let edges = vec![
            edge("a", "b", true),
            edge("b", "a", true),
            edge("a", "gone", true),
            edge("a", "a", true),
        ];
        let svg = render(&graph(nodes, edges));
        assert_eq!(
            svg.matches("<path d=\"M").count(),
            3,
            "two edges and the arrow's tip"
        );
        assert!(render(&graph(Vec::new(), Vec::new())).contains("nothing is asked for here"));
    }
}
