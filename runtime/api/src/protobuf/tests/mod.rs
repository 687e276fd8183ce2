mod golden;
mod hostile;
mod round_trip;
mod table;
