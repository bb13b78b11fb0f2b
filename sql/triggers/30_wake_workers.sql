-- Workers are woken when there is something to embed. pgai's queues have this trigger too, for what
-- its trigger on the chunks writes into them directly.

create or replace trigger notify_waiting
  after insert on ragdb_data.embedding_queue
  for each statement execute function ragdb_private.notify_queue();

create or replace trigger notify_used
  after insert or update of user_no on ragdb_data.organization_model
  for each statement execute function ragdb_private.notify_queue();
