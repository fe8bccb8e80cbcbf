PRAGMA application_id = 1970237548;
BEGIN TRANSACTION;
CREATE TABLE ledger_budget (
	fund TEXT NOT NULL, 
	period TEXT NOT NULL, 
	issued INTEGER NOT NULL, 
	bound INTEGER NOT NULL, 
	PRIMARY KEY (fund, period), 
	CONSTRAINT budget_bound CHECK (0 <= issued AND issued <= bound)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_budget" VALUES('tight','2027',80,900);
CREATE TABLE ledger_counter (
	name TEXT NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_counter" VALUES('club',3);
INSERT INTO "ledger_counter" VALUES('loose',2);
CREATE TABLE ledger_declaration (
	place INTEGER NOT NULL, 
	"after" INTEGER NOT NULL, 
	words TEXT NOT NULL, 
	tip BLOB NOT NULL, 
	PRIMARY KEY (place)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_declaration" VALUES(1,0,'["currency", "points", "True"]',X'510766861477E96C29CD053C4005D72CED6A7B5AA37D9779279D7479096F302D');
INSERT INTO "ledger_declaration" VALUES(2,0,'["fund", "sales", "0", "revenue", "UTC", "", ""]',X'CBD1E065106F7148FC5670FF5E4BCEF871EB9A0D6B85F1DCD2E9AC1947BC9DAE');
INSERT INTO "ledger_declaration" VALUES(3,0,'["fund", "tight", "0", "revenue", "UTC", "900", "year"]',X'A698EF55CB36BED28FDD631C338D85474CB57436EACE5C246BFEE416328D1EA9');
INSERT INTO "ledger_declaration" VALUES(4,13,'["counted", "loose", "2"]',X'584F434C1D470F5138F01FBEFE326576BF2577573EE2AA09A4A12CE54F8FA4D8');
INSERT INTO "ledger_declaration" VALUES(5,15,'["erased", "erased:1c2ad226253e3bd2c45acba52b1aaf4d924880b8fa6471fa4cecdce01ab6969c"]',X'1621EC7F79DF0E6871C53EC153DC5DD84DF934F7D140DEC2F5B5D70E3A96D08E');
CREATE TABLE ledger_entry (
	sequence INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	wallet INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	members INTEGER NOT NULL, 
	seal BLOB NOT NULL, 
	event TEXT, 
	rule TEXT, 
	reference TEXT, 
	counts TEXT, 
	content TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (sequence), 
	CONSTRAINT entry_place UNIQUE (wallet, place), 
	CONSTRAINT entry_counts CHECK (sequence > 0 AND place >= 0 AND members > 0), 
	UNIQUE (id), 
	FOREIGN KEY(wallet) REFERENCES ledger_wallet (no)
)
 STRICT

;
INSERT INTO "ledger_entry" VALUES(1,'e1',1,0,1,X'34B79674593E512DF08D9B2B08A7E412D114B97D42476B1C718F6D433EE81FA6','v1','shop','o1',NULL,'["earn",["points","","v1","o1",100,"sales","shop",1798761600000000,null,1799539200000000,0],"points",[["fund:sales","points",-100,""],[0,"points",100,"e1"]],[],[],[["e1",0,"points","sales","0",1798761600000000,1798761600000000,1799539200000000,"shop","e1",100,[0,0],true,100,0]],0,0,[]]',1798761600000000);
INSERT INTO "ledger_entry" VALUES(2,'e2',2,0,1,X'D8F38E00CF8A400376351FCCDEE5880752289996BCF1C9B1CB03C1633E72B5CB',NULL,NULL,NULL,NULL,'["earn",["points","","","",80,"tight","",1798761600000000,null,null,0],"points",[["fund:tight","points",-80,""],[0,"points",80,"e2"]],[],[],[["e2",0,"points","tight","0",1798761600000000,1798761600000000,null,"","e2",80,[0,0],true,80,0]],0,0,[]]',1798761600000000);
INSERT INTO "ledger_entry" VALUES(3,'s1',1,1,1,X'C10A74D6198AE4F85B47DE9A13F11DF5115818491F6D9735B5EF9C97490A3402',NULL,NULL,NULL,NULL,'["spend",["points","","","",30,"shop",1798848000000000,null,0],"points",[[0,"points",-30,"e1"],["sink:shop","points",30,""]],[["e1",30]],[],[],0,0,[]]',1798848000000000);
INSERT INTO "ledger_entry" VALUES(4,'t1',1,2,2,X'F32A7B6F649FB714B805AB8F24D05FCAF61E61F0EFBD1BBF3C3822EAA927BCFC',NULL,NULL,NULL,NULL,'["transfer",["points","","","",10,1798848000000000,0,1],"points",[[0,"points",-10,"e1"],[1,"points",10,"2:t11:0"]],[["e1",10]],[],[["2:t11:0",1,"points","sales","0",1798761600000000,1798761600000000,1799539200000000,"shop","e1",10,[1,0],false,10,0]],0,0,[]]',1798848000000000);
INSERT INTO "ledger_entry" VALUES(5,'h1',1,3,1,X'A260EBE5057DFEA43407AAC1AFD819D62E0E29D0B7ED0AA6AB733257C9B9B887',NULL,NULL,NULL,NULL,'["hold",["points","","","",20,1798934400000000,null,0],"points",[],[["e1",20]],[],[],0,0,[]]',1798934400000000);
INSERT INTO "ledger_entry" VALUES(6,'c1',1,4,1,X'9A1925FD60DB43A471B8238F1C312F022C7B423E05549CF9399568A67FA00FF8',NULL,NULL,NULL,NULL,'["capture",["points","","","","h1","shop",5,1798934400000000],"points",[[0,"points",-5,"e1"],["sink:shop","points",5,""]],[["e1",5]],[],[],0,0,[]]',1798934400000000);
INSERT INTO "ledger_entry" VALUES(7,'h2',2,2,1,X'A74929D9892748AF98A35EFF962C9922172F2F8B417D118EA6F7C51C795801E7',NULL,NULL,NULL,NULL,'["hold",["points","","","",4,1798934400000000,1801353600000000,0],"points",[],[["2:t11:0",4]],[],[],0,0,[]]',1798934400000000);
INSERT INTO "ledger_entry" VALUES(8,'r1',1,5,1,X'4713B9C9764166809BB5BCBD2821AF28DEBAC54183440D34FC3ACDFA18AB9755',NULL,NULL,NULL,NULL,'["reverse",["points","","","","s1",8,1799020800000000,0,"unspent"],"points",[["sink:shop","points",-8,""],[0,"points",8,"e1"]],[["e1",8]],[],[],0,0,[]]',1799020800000000);
INSERT INTO "ledger_entry" VALUES(9,'e3',3,0,1,X'2679B4C70E7FD96676BC8C599B83C9FE6FD08A700172CE5F9E1BD54ABA6563C4',NULL,NULL,NULL,NULL,'["earn",["points","","","",40,"sales","",1799020800000000,null,null,0],"points",[["fund:sales","points",-40,""],[0,"points",40,"e3"]],[],[],[["e3",0,"points","sales","0",1799020800000000,1799020800000000,null,"","e3",40,[0,0],true,40,0]],0,0,[]]',1799020800000000);
INSERT INTO "ledger_entry" VALUES(10,'s3',3,1,1,X'B41CAD57F9E261DF32F3C34EA14852802C7842E63E1F1E051002650A264A5D2C',NULL,NULL,NULL,NULL,'["spend",["points","","","",40,"shop",1799020800000000,null,0],"points",[[0,"points",-40,"e3"],["sink:shop","points",40,""]],[["e3",40]],[],[],0,0,[]]',1799020800000000);
INSERT INTO "ledger_entry" VALUES(11,'r3',3,2,1,X'623883C0A485468D660E1E6A05BAA3C4924126B1D74DE54C02375B79480FE024',NULL,NULL,NULL,NULL,'["reverse",["points","","","","e3",null,1799107200000000,0,"debt"],"points",[["fund:sales","points",40,""],[-1,"points",-40,""]],[],[],[],0,40,[["r3","sales",40]]]',1799107200000000);
INSERT INTO "ledger_entry" VALUES(12,'n1',4,0,1,X'EF4F953DDCC277268109CC84BEBD0B1622DFED77B752A8B8D8EE578E58670D81',NULL,NULL,NULL,NULL,'["note",["points","","","","visit",1799107200000000,null,0],"points",[],[],[],[],0,0,[]]',1799107200000000);
INSERT INTO "ledger_entry" VALUES(13,'n2',4,1,1,X'26592033BD2C5BC2D8788AB6913B1AFDBEFC8584E5F21B75136DC73FABE93400',NULL,NULL,NULL,'[["club",3]]','["note",["points","","","","visit",1799107200000000,null,0],"points",[],[],[],[],0,0,[]]',1799107200000000);
INSERT INTO "ledger_entry" VALUES(14,'29:6:expire16:17996256000000000:2:e116:1799539200000000',1,6,1,X'E18FDC5ECC8DB885F1DE8F2923EBB215642EB694B0CE3C8EF38A3371716FA032',NULL,NULL,NULL,NULL,'["expire",["points","","","",1799539200000000,0],"points",[[0,"points",-63,"e1"],["expired","points",63,"e1"]],[],[["e1",63]],[],0,0,[]]',1799539200000000);
INSERT INTO "ledger_entry" VALUES(15,'29:6:expire16:17996256000000000:7:2:t11:016:1799539200000000',2,3,1,X'5F6749852469AB2E980D267F70E7D75E5DDC09EEB383B43E15790BF87AF90AAE',NULL,NULL,NULL,NULL,'["expire",["points","","","",1799539200000000,0],"points",[[0,"points",-6,"2:t11:0"],["expired","points",6,"2:t11:0"]],[],[["2:t11:0",6]],[],0,0,[]]',1799539200000000);
CREATE TABLE ledger_hold (
	id TEXT NOT NULL, 
	wallet INTEGER NOT NULL, 
	currency TEXT NOT NULL, 
	points INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	expires_at INTEGER, 
	allocations TEXT NOT NULL, 
	resolved_by TEXT NOT NULL, 
	resolved_at INTEGER, 
	is_open INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT hold_points CHECK (points > 0), 
	CONSTRAINT hold_open CHECK (is_open = 0 OR (is_open = 1 AND resolved_by = '')), 
	FOREIGN KEY(wallet) REFERENCES ledger_wallet (no)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_hold" VALUES('h1',1,'points',20,1798934400000000,NULL,'[["e1",20]]','c1',1798934400000000,0);
INSERT INTO "ledger_hold" VALUES('h2',2,'points',4,1798934400000000,1801353600000000,'[["2:t11:0",4]]','',NULL,1);
CREATE TABLE ledger_lot (
	id TEXT NOT NULL, 
	wallet INTEGER NOT NULL, 
	currency TEXT NOT NULL, 
	fund TEXT NOT NULL, 
	unit_cost TEXT NOT NULL, 
	earned_at INTEGER NOT NULL, 
	available_at INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	rule TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	original INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	place_within INTEGER NOT NULL, 
	is_issue INTEGER NOT NULL, 
	remaining INTEGER NOT NULL, 
	written INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT lot_points CHECK (0 <= written AND written <= remaining AND remaining <= original), 
	CONSTRAINT lot_issue CHECK (is_issue IN (0, 1)), 
	FOREIGN KEY(wallet) REFERENCES ledger_wallet (no)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_lot" VALUES('2:t11:0',2,'points','sales','0',1798761600000000,1798761600000000,1799539200000000,'shop','e1',10,1,0,0,10,6);
INSERT INTO "ledger_lot" VALUES('e1',1,'points','sales','0',1798761600000000,1798761600000000,1799539200000000,'shop','e1',100,0,0,1,63,63);
INSERT INTO "ledger_lot" VALUES('e2',2,'points','tight','0',1798761600000000,1798761600000000,9223372036854775807,'','e2',80,0,0,1,80,0);
INSERT INTO "ledger_lot" VALUES('e3',3,'points','sales','0',1799020800000000,1799020800000000,9223372036854775807,'','e3',40,0,0,1,0,0);
CREATE TABLE ledger_meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_meta" VALUES('declarations','5');
INSERT INTO "ledger_meta" VALUES('salt','08e995da66354f888971346742c53b7f8077433fedd80e0f33bcad302be7ede9');
INSERT INTO "ledger_meta" VALUES('sweeps','1');
INSERT INTO "ledger_meta" VALUES('version','3');
CREATE TABLE ledger_shared (
	wallet INTEGER NOT NULL, 
	place INTEGER NOT NULL, 
	sequence INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	PRIMARY KEY (wallet, place), 
	CONSTRAINT shared_position UNIQUE (sequence, position), 
	CONSTRAINT shared_counts CHECK (position > 0), 
	FOREIGN KEY(wallet) REFERENCES ledger_wallet (no), 
	FOREIGN KEY(sequence) REFERENCES ledger_entry (sequence)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_shared" VALUES(2,1,4,1);
CREATE TABLE ledger_sweep (
	id TEXT NOT NULL, 
	member TEXT, 
	sequence INTEGER NOT NULL, 
	content TEXT NOT NULL, 
	seal BLOB NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_sweep" VALUES('6:expire16:17996256000000000:',NULL,15,'["[\"expire\",[\"points\",\"\",\"\",\"\",1799625600000000,null]]",[["e1",63],["2:t11:0",6]]]',X'D3F5F05789CC2DD7B104C90C1BA130790A815631BE795E6E6CC6AE2F95405BCE');
CREATE TABLE ledger_undone (
	entry TEXT NOT NULL, 
	points INTEGER NOT NULL, 
	PRIMARY KEY (entry), 
	CONSTRAINT undone_points CHECK (points >= 0), 
	FOREIGN KEY(entry) REFERENCES ledger_entry (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "ledger_undone" VALUES('e3',40);
INSERT INTO "ledger_undone" VALUES('s1',8);
CREATE TABLE ledger_wallet (
	no INTEGER NOT NULL, 
	member TEXT NOT NULL, 
	commitment TEXT NOT NULL, 
	latest INTEGER NOT NULL, 
	length INTEGER NOT NULL, 
	tip BLOB NOT NULL, 
	debts TEXT NOT NULL, 
	open_holds INTEGER NOT NULL, 
	PRIMARY KEY (no), 
	CONSTRAINT wallet_counts CHECK (length >= 0 AND open_holds >= 0), 
	UNIQUE (member)
)
 STRICT

;
INSERT INTO "ledger_wallet" VALUES(1,'ann','erased:a8f36d368668e8b9a3ffa4ecbfb02c3baf6c696d9a09844ec1fc5a723488a3d9',1799539200000000,7,X'7B4CB371AE7892811CA6F92386927F770114E05934ADFFE09EB5396D42CF35A5','',0);
INSERT INTO "ledger_wallet" VALUES(2,'bob','erased:ba9ff16467e34cd270f116b1d46093fa987726365a0a159daca67e140fbb6701',1799539200000000,4,X'159D03D56B31384CA0D38709D631210417DA832EAEE53A85139C7757FABE1B12','',1);
INSERT INTO "ledger_wallet" VALUES(3,'dan','erased:abc877a73ee077dbf314252b9d56b1e7d8e7a894af64d721ec81e88ae91074c3',1799107200000000,3,X'13A9AD7D56C105838C7DEC8F2366F776BA181BEE88980C568E62CFC9BF751637','[["r3","sales","points",1799107200000000,40]]',0);
INSERT INTO "ledger_wallet" VALUES(4,'erased:1c2ad226253e3bd2c45acba52b1aaf4d924880b8fa6471fa4cecdce01ab6969c','erased:1c2ad226253e3bd2c45acba52b1aaf4d924880b8fa6471fa4cecdce01ab6969c',1799107200000000,2,X'06155B1A21F83151991237633CC039B998BFBFEE3E1EB4E0D9851D0FBE2541F6','',0);
CREATE INDEX ledger_entry_event ON ledger_entry (event) WHERE event IS NOT NULL;
CREATE INDEX ledger_entry_reference ON ledger_entry (wallet, reference) WHERE reference IS NOT NULL;
CREATE INDEX ledger_entry_rule ON ledger_entry (wallet, rule, at);
CREATE INDEX ledger_lot_due ON ledger_lot (expires_at) WHERE remaining > written;
CREATE INDEX ledger_lot_open ON ledger_lot (wallet, expires_at) WHERE remaining > written;
CREATE INDEX ledger_lot_wallet ON ledger_lot (wallet, expires_at);
CREATE INDEX ledger_hold_open ON ledger_hold (wallet) WHERE is_open = 1;
COMMIT;
