"""KPIs as folds over the journal; `docs/kpis.md` has each formula, its source facts and an example.

    records --Fold--> pieces (a contact's stay in a queue, an agent's handle, an agent's time in one state...)
    pieces --Cells--> counters by slot of time, queue and agent, with the waits themselves
    cells + policy + threshold --> QueueKpis, HandleKpis, AgentKpis

A policy or threshold is applied at the end, to waits that are all still there: another one gives another figure of the
same journal. All of it is pure: time comes with the records.
"""
