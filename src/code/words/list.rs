//! The 256 words, made for this project: concrete things, said easily, no two less than three letters apart.
//!
//! Part of the format: a word may never move.

#[rustfmt::skip]
pub(super) const WORDS: [&str; 256] = [
    "acorn", "album", "almond", "amber", "anchor", "angel", "ankle", "apron", "artist", "atlas", "attic",
    "autumn", "avocado", "badger", "bamboo", "banjo", "barrel", "basket", "beaver", "beetle", "bicycle",
    "biscuit", "blossom", "bonfire", "bridge", "bubble", "buffalo", "butter", "cabin", "cactus", "camel",
    "canyon", "carpet", "castle", "cedar", "cello", "cherry", "chimney", "cinema", "circus", "clover",
    "cobra", "coffee", "compass", "copper", "cotton", "cowboy", "cricket", "crystal", "curtain", "cushion",
    "daisy", "dentist", "desert", "diamond", "dinner", "doctor", "dolphin", "domino", "donkey", "dragon",
    "drawer", "drummer", "dungeon", "eagle", "earring", "echo", "eclipse", "elbow", "emerald", "engine",
    "evening", "eyebrow", "fabric", "falcon", "farmer", "fiddle", "firefly", "fossil", "freckle", "friday",
    "galaxy", "garlic", "gazelle", "giant", "giraffe", "glacier", "goblin", "gorilla", "grape", "gymnast",
    "haddock", "hamster", "harbor", "harvest", "helmet", "hexagon", "hippo", "horizon", "hospital", "hotdog",
    "husky", "iceberg", "igloo", "indigo", "insect", "island", "ivory", "jaguar", "jasmine", "jigsaw",
    "journey", "jungle", "juniper", "kayak", "kernel", "ketchup", "keyhole", "kidney", "kingdom", "kitchen",
    "kiwi", "koala", "lagoon", "lantern", "laptop", "lemon", "leopard", "library", "lizard", "lobster",
    "locket", "lotus", "lunch", "magnet", "mailbox", "mammoth", "marble", "meadow", "melody", "mermaid",
    "mirror", "morning", "muffin", "museum", "mustard", "napkin", "nephew", "nickel", "noodle", "nugget",
    "nurse", "nutmeg", "oasis", "oatmeal", "ocean", "octopus", "olive", "omelet", "onion", "opera", "orange",
    "orbit", "ostrich", "oxygen", "pajama", "palace", "pancake", "panther", "parrot", "pastry", "peacock",
    "peanut", "pelican", "pencil", "penguin", "pickle", "pigeon", "pillow", "pirate", "plumber", "poem",
    "polka", "popcorn", "potato", "prairie", "pretzel", "pumpkin", "puppet", "pyramid", "quarter", "queen",
    "quilt", "rabbit", "raccoon", "radish", "raft", "rainbow", "raisin", "raven", "ribbon", "ripple", "ruby",
    "safari", "sailor", "sandal", "saturn", "sausage", "scarf", "school", "scooter", "seagull", "shelter",
    "sheriff", "silver", "sled", "snail", "soccer", "sofa", "spider", "spinach", "stadium", "statue", "sugar",
    "sunset", "swan", "tadpole", "teapot", "temple", "tennis", "thimble", "thunder", "toast", "tornado",
    "tulip", "tunnel", "turkey", "turtle", "tuxedo", "urchin", "valley", "vampire", "violin", "volcano",
    "waffle", "walnut", "water", "weasel", "wigwam", "window", "wolf", "wombat", "yacht", "yogurt", "zigzag",
    "zodiac",
];
