-- what: room in the pages of accounts, so that the update of each session touches no index
-- compatible-from: 1
-- before: aea752755caf0805bfbede46200862983ecf594c077ade7429e6730acde1e742

-- For pages to come; in those that are there, what updates leave is used. Takes no lock that a session waits for.
ALTER TABLE accounts SET (fillfactor = 80);
