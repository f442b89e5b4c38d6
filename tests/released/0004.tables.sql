CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	outbox_id INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	verb VARCHAR NOT NULL, 
	began_at VARCHAR(27) NOT NULL, 
	ended_at VARCHAR(27), 
	result VARCHAR DEFAULT '' NOT NULL, 
	words VARCHAR DEFAULT '' NOT NULL, 
	said BLOB, 
	PRIMARY KEY (id)
);
CREATE INDEX attempts_of_command ON attempts (outbox_id);
CREATE TABLE claims (
	id INTEGER NOT NULL, 
	order_id INTEGER NOT NULL, 
	line_id INTEGER NOT NULL, 
	sku VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	units INTEGER NOT NULL, 
	state VARCHAR DEFAULT 'open' NOT NULL, 
	opened_at VARCHAR(27) NOT NULL, 
	accepted_at VARCHAR(27), 
	accepted_counter INTEGER, 
	accepted_as_of VARCHAR(27), 
	shipment_id INTEGER, 
	shipped_seen_at VARCHAR(27), 
	shipped_counter INTEGER, 
	shipped_as_of VARCHAR(27), 
	ended_at VARCHAR(27), 
	evidence VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX claims_missing ON claims (line_id) WHERE state = 'missing';
CREATE INDEX claims_of_order ON claims (order_id);
CREATE INDEX claims_of_sku ON claims (sku, location, state, shipped_seen_at, accepted_at, units);
CREATE TABLE copies (
	system VARCHAR NOT NULL, 
	number VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	place VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	read_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, number, "key", place)
);
CREATE INDEX copies_not_for_sale ON copies (system, number, place) WHERE number = 'not_for_sale';
CREATE TABLE counters (
	name VARCHAR NOT NULL, 
	label VARCHAR NOT NULL, 
	day VARCHAR NOT NULL, 
	value INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (name, label, day)
);
CREATE TABLE cursors (
	system VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	since VARCHAR, 
	page VARCHAR, 
	began_at VARCHAR(27), 
	complete_began_at VARCHAR(27), 
	complete_at VARCHAR(27), 
	due_at VARCHAR(27) NOT NULL, 
	full_at VARCHAR(27), 
	rows INTEGER DEFAULT 0 NOT NULL, 
	failures INTEGER DEFAULT 0 NOT NULL, 
	words VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (system, resource)
);
CREATE TABLE deadlines (
	order_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	system VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	state VARCHAR DEFAULT 'open' NOT NULL, 
	told VARCHAR DEFAULT '' NOT NULL, 
	met_at VARCHAR(27), 
	PRIMARY KEY (order_id, kind, subject)
)
 WITHOUT ROWID;
CREATE INDEX deadlines_met ON deadlines (met_at) WHERE state = 'met';
CREATE INDEX deadlines_open ON deadlines (at) WHERE state = 'open';
CREATE TABLE delays (
	system VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	seconds FLOAT NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, kind)
);
CREATE TABLE differences (
	id VARCHAR NOT NULL, 
	what VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	cause VARCHAR NOT NULL, 
	units INTEGER DEFAULT 0 NOT NULL, 
	minor INTEGER DEFAULT 0 NOT NULL, 
	currency VARCHAR DEFAULT '' NOT NULL, 
	first_at VARCHAR(27) NOT NULL, 
	last_at VARCHAR(27) NOT NULL, 
	ended_at VARCHAR(27), 
	assignee VARCHAR DEFAULT '' NOT NULL, 
	said VARCHAR DEFAULT '' NOT NULL, 
	written_by VARCHAR DEFAULT '' NOT NULL, 
	reason VARCHAR DEFAULT '' NOT NULL, 
	written_at VARCHAR(27), 
	PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE INDEX differences_open ON differences (first_at) WHERE ended_at IS NULL;
CREATE TABLE divided (
	sku VARCHAR NOT NULL, 
	since VARCHAR(27) NOT NULL, 
	PRIMARY KEY (sku)
);
CREATE TABLE documents (
	system VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	reference VARCHAR NOT NULL, 
	number VARCHAR DEFAULT '' NOT NULL, 
	state VARCHAR DEFAULT '' NOT NULL, 
	posted INTEGER DEFAULT 0 NOT NULL, 
	order_id INTEGER, 
	currency VARCHAR DEFAULT '' NOT NULL, 
	total_minor INTEGER, 
	tax_minor INTEGER, 
	cost_minor INTEGER, 
	quantity INTEGER, 
	cancelled INTEGER DEFAULT 0 NOT NULL, 
	dated VARCHAR(27), 
	first_at VARCHAR(27), 
	seen_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, external_id)
);
CREATE INDEX documents_of_order ON documents (order_id);
CREATE TABLE drifts (
	system VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	path VARCHAR NOT NULL, 
	what VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	example VARCHAR NOT NULL, 
	documents INTEGER DEFAULT 0 NOT NULL, 
	since VARCHAR(27) NOT NULL, 
	until VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, resource, path, what)
);
CREATE TABLE facts (
	system VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	revision VARCHAR DEFAULT '' NOT NULL, 
	order_id INTEGER, 
	doc BLOB NOT NULL, 
	seen_at VARCHAR(27) NOT NULL, 
	tracking VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (system, resource, external_id)
);
CREATE INDEX facts_of_order ON facts (order_id);
CREATE INDEX facts_of_tracking ON facts (tracking) WHERE tracking != '';
CREATE TABLE falls (
	system VARCHAR NOT NULL, 
	pass_began_at VARCHAR(27) NOT NULL, 
	fell INTEGER DEFAULT 0 NOT NULL, 
	known INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (system)
);
CREATE TABLE feed (
	sku VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	why VARCHAR NOT NULL, 
	changed_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (sku)
);
CREATE INDEX feed_seq ON feed (seq);
CREATE TABLE fetches (
	system VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	asked_at VARCHAR(27) NOT NULL, 
	due_at VARCHAR(27) NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	words VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (system, resource, external_id)
);
CREATE TABLE handovers (
	order_id INTEGER NOT NULL, 
	how VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (order_id)
);
CREATE TABLE health (
	system VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, kind)
);
CREATE TABLE heard (
	system VARCHAR NOT NULL, 
	came_at VARCHAR(27) NOT NULL, 
	pushed_at VARCHAR(27), 
	pushed_seq INTEGER DEFAULT 0 NOT NULL, 
	passes INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (system)
);
CREATE TABLE heard_hours (
	system VARCHAR NOT NULL, 
	hour VARCHAR(13) NOT NULL, 
	value INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (system, hour)
);
CREATE TABLE hold_members (
	hold_id INTEGER NOT NULL, 
	member VARCHAR NOT NULL, 
	ref VARCHAR NOT NULL, 
	label VARCHAR NOT NULL, 
	since VARCHAR(27) NOT NULL, 
	closed_at VARCHAR(27), 
	PRIMARY KEY (hold_id, member, ref)
);
CREATE INDEX holds_of_member ON hold_members (member, ref);
CREATE TABLE holds (
	id INTEGER NOT NULL, 
	cause VARCHAR NOT NULL, 
	system VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	next_step VARCHAR NOT NULL, 
	opened_at VARCHAR(27) NOT NULL, 
	closed_at VARCHAR(27), 
	assignee VARCHAR DEFAULT '' NOT NULL, 
	note VARCHAR DEFAULT '' NOT NULL, 
	snoozed_until VARCHAR(27), 
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX hold_open ON holds (cause) WHERE closed_at IS NULL;
CREATE TABLE in_force (
	seq INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	system VARCHAR DEFAULT '' NOT NULL, 
	doc VARCHAR DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE inbox (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	system VARCHAR NOT NULL, 
	via VARCHAR NOT NULL, 
	topic VARCHAR NOT NULL, 
	identity VARCHAR NOT NULL, 
	resource VARCHAR DEFAULT '' NOT NULL, 
	external_id VARCHAR DEFAULT '' NOT NULL, 
	revision VARCHAR DEFAULT '' NOT NULL, 
	headers BLOB, 
	body BLOB, 
	received_at VARCHAR(27) NOT NULL, 
	read_began_at VARCHAR(27), 
	seen_at VARCHAR(27), 
	since VARCHAR, 
	state VARCHAR DEFAULT 'pending' NOT NULL, 
	pushes INTEGER DEFAULT 0 NOT NULL, 
	polls INTEGER DEFAULT 0 NOT NULL, 
	accepted INTEGER DEFAULT 0 NOT NULL, 
	mapping VARCHAR DEFAULT '' NOT NULL, 
	reason VARCHAR DEFAULT '' NOT NULL, 
	done_at VARCHAR(27), 
	CONSTRAINT inbox_once UNIQUE (system, topic, identity)
);
CREATE INDEX inbox_held ON inbox (system, resource, external_id) WHERE state = 'held';
CREATE INDEX inbox_pending ON inbox (seq) WHERE state = 'pending';
CREATE INDEX inbox_pending_of ON inbox (system, seq) WHERE state = 'pending';
CREATE TABLE invoiced (
	order_id INTEGER NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	doc BLOB NOT NULL, 
	PRIMARY KEY (order_id)
);
CREATE TABLE item_lists (
	seq INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	doc BLOB NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE items (
	sku VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	first_seen_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (sku)
);
CREATE TABLE lines (
	id INTEGER NOT NULL, 
	order_id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	ordered INTEGER DEFAULT 0 NOT NULL, 
	claimed INTEGER DEFAULT 0 NOT NULL, 
	short INTEGER DEFAULT 0 NOT NULL, 
	consumed INTEGER DEFAULT 0 NOT NULL, 
	cancelled INTEGER DEFAULT 0 NOT NULL, 
	shippable INTEGER DEFAULT 1 NOT NULL, 
	parent VARCHAR DEFAULT '' NOT NULL, 
	kit VARCHAR DEFAULT '' NOT NULL, 
	factor INTEGER DEFAULT 1 NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT line_once UNIQUE (order_id, "key")
);
CREATE INDEX lines_short ON lines (sku) WHERE short > 0;
CREATE TABLE listened (
	hour VARCHAR(13) NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (hour)
);
CREATE TABLE listings (
	system VARCHAR NOT NULL, 
	listing VARCHAR NOT NULL, 
	place VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	their_sku VARCHAR DEFAULT '' NOT NULL, 
	title VARCHAR DEFAULT '' NOT NULL, 
	item VARCHAR DEFAULT '' NOT NULL, 
	extras VARCHAR DEFAULT '{}' NOT NULL, 
	active INTEGER DEFAULT 1 NOT NULL, 
	shown INTEGER, 
	shown_at VARCHAR(27), 
	PRIMARY KEY (system, listing, place)
);
CREATE INDEX listings_of_sku ON listings (sku, system);
CREATE TABLE lots (
	system VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	place VARCHAR NOT NULL, 
	lot VARCHAR NOT NULL, 
	expires_on VARCHAR DEFAULT '' NOT NULL, 
	units INTEGER NOT NULL, 
	read_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, sku, place, lot)
);
CREATE TABLE mapping_texts (
	seq INTEGER NOT NULL, 
	connector VARCHAR NOT NULL, 
	stem VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	doc BLOB NOT NULL, 
	since VARCHAR(27) NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE INDEX mapping_text_of ON mapping_texts (connector, stem);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE movement_runs (
	system VARCHAR NOT NULL, 
	first INTEGER NOT NULL, 
	last INTEGER NOT NULL, 
	PRIMARY KEY (system, first)
);
CREATE TABLE movements (
	system VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	units INTEGER NOT NULL, 
	counter INTEGER, 
	as_of VARCHAR(27), 
	seen_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, "key")
);
CREATE INDEX movements_of_sku ON movements (sku, location);
CREATE TABLE offer_rules (
	seq INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	doc VARCHAR NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE orders (
	id INTEGER NOT NULL, 
	system VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	number VARCHAR NOT NULL, 
	revision VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	payment VARCHAR NOT NULL, 
	currency VARCHAR NOT NULL, 
	total_minor INTEGER NOT NULL, 
	channel_tax_minor INTEGER DEFAULT 0 NOT NULL, 
	tax_minor INTEGER, 
	units INTEGER, 
	cancelled_at VARCHAR(27), 
	placed_at VARCHAR(27) NOT NULL, 
	captured_at VARCHAR(27) NOT NULL, 
	changed_at VARCHAR(27) NOT NULL, 
	ship_by VARCHAR(27), 
	location VARCHAR, 
	booked VARCHAR DEFAULT '' NOT NULL, 
	asked VARCHAR DEFAULT '' NOT NULL, 
	doc BLOB, 
	doc_hash VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT order_once UNIQUE (system, external_id)
);
CREATE INDEX orders_number ON orders (number);
CREATE INDEX orders_open ON orders (id) WHERE state IN ('held', 'released');
CREATE INDEX orders_placed ON orders (placed_at);
CREATE TABLE outages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	system VARCHAR NOT NULL, 
	since VARCHAR(27) NOT NULL, 
	back_at VARCHAR(27), 
	ended_at VARCHAR(27), 
	upto INTEGER DEFAULT 0 NOT NULL, 
	commands INTEGER DEFAULT 0 NOT NULL, 
	skus INTEGER DEFAULT 0 NOT NULL, 
	left_over INTEGER DEFAULT 0 NOT NULL, 
	per_second FLOAT NOT NULL, 
	words VARCHAR DEFAULT '' NOT NULL
);
CREATE INDEX outages_open ON outages (system) WHERE ended_at IS NULL;
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	system VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	lane VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	generation INTEGER DEFAULT 0 NOT NULL, 
	order_id INTEGER, 
	record BLOB NOT NULL, 
	body BLOB, 
	state VARCHAR DEFAULT 'queued' NOT NULL, 
	safe_by VARCHAR NOT NULL, 
	urgency INTEGER DEFAULT 2 NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	lookups INTEGER DEFAULT 0 NOT NULL, 
	queued_at VARCHAR(27) NOT NULL, 
	due_at VARCHAR(27) NOT NULL, 
	first_sent_at VARCHAR(27), 
	done_at VARCHAR(27), 
	reference VARCHAR DEFAULT '' NOT NULL, 
	words VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT command_once UNIQUE (system, "key")
);
CREATE INDEX outbox_dead ON outbox (system, lane) WHERE state = 'dead';
CREATE INDEX outbox_due ON outbox (system, urgency, due_at, id) WHERE state IN ('queued', 'waiting', 'in_doubt');
CREATE INDEX outbox_live ON outbox (system, lane, id) WHERE state != 'done';
CREATE INDEX outbox_of_order ON outbox (order_id);
CREATE TABLE overrides (
	id INTEGER NOT NULL, 
	sku VARCHAR NOT NULL, 
	channel VARCHAR DEFAULT '' NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	since VARCHAR(27) NOT NULL, 
	until VARCHAR(27), 
	ended_at VARCHAR(27), 
	ended_by VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX override_open ON overrides (sku, channel) WHERE ended_at IS NULL;
CREATE TABLE oversold (
	sku VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	units INTEGER NOT NULL, 
	since VARCHAR(27) NOT NULL, 
	confirmed_at VARCHAR(27), 
	PRIMARY KEY (sku, location)
);
CREATE TABLE paces (
	sku VARCHAR NOT NULL, 
	system VARCHAR NOT NULL, 
	quick FLOAT NOT NULL, 
	slow FLOAT NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (sku, system)
);
CREATE TABLE prices (
	sku VARCHAR NOT NULL, 
	system VARCHAR NOT NULL, 
	doc BLOB NOT NULL, 
	read_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (sku)
);
CREATE TABLE publish_cursors (
	system VARCHAR NOT NULL, 
	seq INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (system)
);
CREATE TABLE published (
	system VARCHAR NOT NULL, 
	listing VARCHAR NOT NULL, 
	place VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	quantity INTEGER, 
	acked_at VARCHAR(27), 
	words VARCHAR DEFAULT '' NOT NULL, 
	differs VARCHAR DEFAULT '' NOT NULL, 
	corrections INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (system, listing, place)
);
CREATE INDEX published_of_sku ON published (sku, system);
CREATE TABLE quotas (
	system VARCHAR NOT NULL, 
	listing VARCHAR NOT NULL, 
	place VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	shown INTEGER, 
	ceiling INTEGER, 
	pending INTEGER DEFAULT 0 NOT NULL, 
	anchor INTEGER, 
	anchor_at VARCHAR(27), 
	back_at VARCHAR(27), 
	known_at VARCHAR(27), 
	PRIMARY KEY (system, listing, place)
);
CREATE INDEX quotas_of_sku ON quotas (sku, system);
CREATE TABLE refunds (
	id INTEGER NOT NULL, 
	system VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	order_id INTEGER NOT NULL, 
	returned VARCHAR DEFAULT '' NOT NULL, 
	revision VARCHAR DEFAULT '' NOT NULL, 
	state VARCHAR NOT NULL, 
	currency VARCHAR NOT NULL, 
	total_minor INTEGER NOT NULL, 
	channel_tax_minor INTEGER DEFAULT 0 NOT NULL, 
	refunded_at VARCHAR(27) NOT NULL, 
	seen_at VARCHAR(27) NOT NULL, 
	note VARCHAR DEFAULT '' NOT NULL, 
	doc BLOB NOT NULL, 
	doc_hash VARCHAR NOT NULL, 
	credit BLOB, 
	return_id INTEGER, 
	PRIMARY KEY (id), 
	CONSTRAINT refund_once UNIQUE (system, external_id)
);
CREATE INDEX refunds_of_order ON refunds (order_id);
CREATE TABLE reports (
	company VARCHAR NOT NULL, 
	day VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	message_id VARCHAR DEFAULT '' NOT NULL, 
	made_at VARCHAR(27), 
	sent_at VARCHAR(27), 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	words VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (company, day)
);
CREATE TABLE republish (
	system VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	due_at VARCHAR(27) NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	why VARCHAR NOT NULL, 
	PRIMARY KEY (system, sku)
);
CREATE TABLE return_lines (
	return_id INTEGER NOT NULL, 
	line VARCHAR NOT NULL, 
	sku VARCHAR NOT NULL, 
	expected INTEGER DEFAULT 0 NOT NULL, 
	resellable INTEGER DEFAULT 0 NOT NULL, 
	damaged INTEGER DEFAULT 0 NOT NULL, 
	missing INTEGER DEFAULT 0 NOT NULL, 
	unknown INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (return_id, line)
);
CREATE TABLE returns (
	id INTEGER NOT NULL, 
	system VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	order_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	tracking VARCHAR DEFAULT '' NOT NULL, 
	custody VARCHAR NOT NULL, 
	custody_at VARCHAR(27) NOT NULL, 
	money VARCHAR NOT NULL, 
	money_at VARCHAR(27) NOT NULL, 
	opened_at VARCHAR(27) NOT NULL, 
	closed_at VARCHAR(27), 
	PRIMARY KEY (id), 
	CONSTRAINT return_once UNIQUE (system, external_id, order_id)
);
CREATE INDEX returns_of_order ON returns (order_id);
CREATE INDEX returns_open ON returns (opened_at) WHERE closed_at IS NULL;
CREATE TABLE seen (
	system VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	pass_began_at VARCHAR(27) NOT NULL, 
	missing_since VARCHAR(27), 
	PRIMARY KEY (system, resource, external_id)
)
 WITHOUT ROWID;
CREATE TABLE shapes (
	system VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	path VARCHAR NOT NULL, 
	kinds VARCHAR NOT NULL, 
	documents INTEGER DEFAULT 0 NOT NULL, 
	first INTEGER NOT NULL, 
	last INTEGER NOT NULL, 
	PRIMARY KEY (system, resource, path)
);
CREATE TABLE shapes_seen (
	system VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	documents INTEGER DEFAULT 0 NOT NULL, 
	seq INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (system, resource)
);
CREATE TABLE shipments (
	id INTEGER NOT NULL, 
	system VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	order_id INTEGER NOT NULL, 
	location VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	revision VARCHAR DEFAULT '' NOT NULL, 
	parcel INTEGER NOT NULL, 
	shipped_at VARCHAR(27), 
	seen_at VARCHAR(27) NOT NULL, 
	tracking VARCHAR DEFAULT '' NOT NULL, 
	doc BLOB NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT shipment_once UNIQUE (system, external_id)
);
CREATE TABLE spellings (
	sku VARCHAR NOT NULL, 
	spelling VARCHAR NOT NULL, 
	PRIMARY KEY (sku)
);
CREATE INDEX spellings_alike ON spellings (spelling);
CREATE TABLE steps (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at VARCHAR(27) NOT NULL, 
	stop INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	system VARCHAR DEFAULT '' NOT NULL, 
	order_id INTEGER, 
	sku VARCHAR DEFAULT '' NOT NULL, 
	data VARCHAR DEFAULT '{}' NOT NULL
);
CREATE INDEX steps_at ON steps (at);
CREATE INDEX steps_of_order ON steps (order_id);
CREATE INDEX steps_of_sku ON steps (sku);
CREATE TABLE stock (
	sku VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	system VARCHAR NOT NULL, 
	on_hand INTEGER, 
	available INTEGER, 
	allocated INTEGER, 
	counter INTEGER, 
	as_of VARCHAR(27), 
	began_at VARCHAR(27) NOT NULL, 
	read_at VARCHAR(27) NOT NULL, 
	item VARCHAR DEFAULT '' NOT NULL, 
	confirmed_at VARCHAR(27), 
	moved INTEGER DEFAULT 0 NOT NULL, 
	waiting INTEGER DEFAULT 0 NOT NULL, 
	doubt INTEGER DEFAULT 0 NOT NULL, 
	doubted_at VARCHAR(27), 
	PRIMARY KEY (sku, location)
);
CREATE INDEX stock_in_doubt ON stock (system) WHERE doubt > 0;
CREATE INDEX stock_of_item ON stock (system, item);
CREATE TABLE ticks (
	name VARCHAR NOT NULL, 
	began_at VARCHAR(27), 
	ok_at VARCHAR(27), 
	words VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE tokens (
	system VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	value BLOB NOT NULL, 
	stored_at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (system, name)
);
CREATE TABLE told (
	id INTEGER NOT NULL, 
	system VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	began_at VARCHAR(27) NOT NULL, 
	ended_at VARCHAR(27), 
	result VARCHAR DEFAULT '' NOT NULL, 
	position INTEGER, 
	offers VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX told_open ON told (system) WHERE ended_at IS NULL;
CREATE TABLE waivers (
	order_id INTEGER NOT NULL, 
	cause VARCHAR NOT NULL, 
	about VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	PRIMARY KEY (order_id, cause)
);
